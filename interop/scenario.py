"""What every pair of clients is to show, written once.

Each part asserts: the login is SCRAM over TLS; two accounts befriend each other
and both rosters say so; messages pass both ways; what is sent to a client that
is away, or that was killed, is there, in order and once, when it returns.
"""

from clients.base import CheckFailed

AWAY_MESSAGES = 3
ARCHIVE_PAGE = 2


def meet(first, second):
    """The whole scenario for two clients."""
    seen = {first: [], second: []}
    login(first)
    login(second)
    befriend(first, second)
    talk(first, second, seen)
    talk(second, first, seen)
    return_to_messages(first, second, seen)
    return_to_messages(second, first, seen)
    crash(first, second, seen)
    crash(second, first, seen)


def notify(sender, receiver):
    """A program that logs in for each message that it sends."""
    seen = {receiver: []}
    login(receiver)
    talk(sender, receiver, seen)
    return_to_messages(receiver, sender, seen)


def listen(listener, sender):
    """A program that has no contacts and only prints what comes."""
    seen = {listener: []}
    login(sender)
    send_to_absent(listener, sender, seen)
    talk(sender, listener, seen)


def resume(first, second):
    """Loses its connection and resumes the stream (XEP-0198): nothing lost, nothing twice."""
    login(first)
    login(second)
    if not first.resumable:
        raise CheckFailed("the server offers no stream management")
    before = [f"before the cut, {n}" for n in range(1, AWAY_MESSAGES + 1)]
    for body in before:
        # What the server has read of these, the client does not know.
        first.post(second.jid, body)
    first.cut()
    during = [f"during the cut, {n}" for n in range(1, AWAY_MESSAGES + 1)]
    for body in during:
        second.send(first.jid, body)
    first.login()
    if not first.resumed:
        raise CheckFailed(f"{first.program} got a new stream, not the old one")
    first.wait_received(second.jid, during)
    second.wait_received(first.jid, before)
    seen = {first: during, second: before}
    talk(first, second, seen)
    talk(second, first, seen)


def restart(first, second, server):
    """Both resume across an orderly restart of the server (XEP-0198), and neither sees the other go."""
    for client in (first, second):
        login(client)
        if not client.resumable:
            raise CheckFailed(f"{client.program} cannot resume")
    befriend(first, second)
    seen = {first: [], second: []}
    talk(first, second, seen)
    talk(second, first, seen)
    for sender, receiver in ((first, second), (second, first)):
        for n in range(1, AWAY_MESSAGES + 1):
            body = f"{sender.user}, as the server stops, {n}"
            # What the server has read of these, the client does not know.
            sender.post(receiver.jid, body)
            seen[receiver].append(body)
    server.restart()
    for client in (first, second):
        client.wait_offline()
    resume_stream(first)
    body = "to one who is not back yet"
    first.send(second.jid, body)
    seen[second].append(body)
    resume_stream(second)
    for receiver, sender in ((first, second), (second, first)):
        receiver.wait_received(sender.jid, seen[receiver])
    talk(first, second, seen)
    talk(second, first, seen)
    for client in (first, second):
        if client.departures:
            raise CheckFailed(f"{client.program} saw them go: {client.departures}")


def resume_stream(client):
    """Connects anew and must get the stream that it had."""
    client.login()
    if not client.resumed:
        raise CheckFailed(f"{client.program} got a new stream, not the old one")


def archive(reader, other):
    """Finds a conversation in its archive (XEP-0313), page by page and once, by the ids that it knows."""
    login(reader)
    login(other)
    seen = {reader: [], other: []}
    said = []
    for sender, receiver in ((other, reader), (reader, other), (other, reader)):
        talk(sender, receiver, seen)
        said.append(seen[receiver][-1])
    reader.wait_shown()
    reader.logout()
    send_to_absent(reader, other, seen)
    said += seen[reader][-AWAY_MESSAGES:]
    pages = reader.pages(ARCHIVE_PAGE)
    found = [body for page in pages for _, body in page]
    if found != said:
        raise CheckFailed(f"{reader.program} finds {found}, not {said}")
    sizes = [len(page) for page in pages]
    if sizes[0] != ARCHIVE_PAGE or max(sizes) > ARCHIVE_PAGE:
        raise CheckFailed(f"the pages have {sizes} messages, not {ARCHIVE_PAGE}")
    # By these ids a client knows what it has already.
    received = [identifier for page in pages for identifier, body in page if body in seen[reader]]
    if received != reader.kept:
        raise CheckFailed(f"the messages came as {reader.kept} and are archived as {received}")
    known = reader.pages(ARCHIVE_PAGE, after=reader.kept[0])
    if [found for page in known for found in page] != [found for page in pages for found in page][1:]:
        raise CheckFailed(f"behind {reader.kept[0]} {reader.program} finds {known}")


def copies(phone, desk, friend):
    """Two clients of one account see each other's messages (XEP-0280), and both get all."""
    for client in (phone, desk, friend):
        login(client)
    phone.ask_for_copies()
    desk.ask_for_copies()
    friend.send(phone.full_jid, "to the phone")
    phone.send(friend.jid, "from the phone")
    at_desk = [("received", friend.jid, "to the phone"), ("sent", friend.jid, "from the phone")]
    desk.wait_copies(at_desk)
    desk.send(friend.jid, "from the desk")
    phone.wait_copies([("sent", friend.jid, "from the desk")])
    friend.send(phone.jid, "to both")
    phone.wait_received(friend.jid, ["to the phone", "to both"])
    desk.wait_received(friend.jid, ["to both"])
    friend.wait_received(phone.jid, ["from the phone", "from the desk"])
    # What one has already, the other gets when it comes back.
    desk.wait_shown()
    desk.logout()
    friend.send(phone.jid, "to whoever is there")
    phone.wait_received(friend.jid, ["to the phone", "to both", "to whoever is there"])
    login(desk)
    desk.wait_received(friend.jid, ["to both", "to whoever is there"])
    phone.wait_copies([("sent", friend.jid, "from the desk")])


def ticks(sender, reader):
    """Learns that a message was sent (XEP-0198), delivered (XEP-0184) and read (XEP-0333)."""
    login(sender)
    login(reader)
    steps = ("sent", "delivered", "read")
    sender.track(reader.jid, "one", "to one who is there")
    reader.wait_received(sender.jid, ["to one who is there"])
    sender.wait_tick("one", "sent")
    sender.wait_tick("one", "delivered")
    reader.mark(sender.jid, "one")
    sender.wait_tick("one", "read")
    # One tick while the other side is away; the others come whoever is away then.
    reader.wait_shown()
    reader.logout()
    sender.track(reader.jid, "two", "to one who is away")
    sender.wait_tick("two", "sent")
    if sender.ticks["two"] != {"sent"}:
        raise CheckFailed(f"nobody has it, and {sender.program} knows {sender.ticks['two']}")
    sender.logout()
    login(reader)
    reader.wait_received(sender.jid, ["to one who is there", "to one who is away"])
    reader.mark(sender.jid, "two")
    login(sender)
    for step in steps:
        sender.wait_tick("two", step)


def readmit(first, second):
    """Logs in again by a token that it was given (XEP-0484), and finds what it missed."""
    login(first)
    login(second)
    if not first.has_bind2:
        raise CheckFailed(f"{first.program} was bound as {first.full_jid}, not by Bind 2")
    if not first.has_token:
        raise CheckFailed("the server gives no tokens")
    befriend(first, second)
    seen = {first: [], second: []}
    for _ in range(2):
        return_to_messages(first, second, seen)
        if not first.readmitted:
            raise CheckFailed(f"{first.program} did not log in by its token")
    talk(first, second, seen)
    talk(second, first, seen)


def login(client):
    """Logs in and asserts the mechanism where the program tells it."""
    mechanism = client.login()
    if mechanism is not None and not mechanism.startswith(client.mechanism_prefix):
        raise CheckFailed(f"{client.program} authenticated with {mechanism}, not {client.mechanism_prefix}*")


def befriend(first, second):
    """Subscription both ways (RFC 6121 section 3.1), first by one, then by the other."""
    for asking, asked in ((first, second), (second, first)):
        asking.add(asked.jid)
        asked.approve(asking.jid)
    for client, other in ((first, second), (second, first)):
        client.wait_subscribed(other.jid)
        client.wait_online(other.jid)


def talk(sender, receiver, seen):
    """One message that a bad escape would spoil."""
    body = f"hello from {sender.user} <&> \u00fcber"
    sender.send(receiver.jid, body)
    seen[receiver].append(body)
    receiver.wait_received(sender.jid, seen[receiver])


def return_to_messages(leaver, sender, seen):
    """Goes offline, and finds on return what was sent meanwhile."""
    leaver.wait_shown()
    leaver.logout()
    if sender.has_roster:
        sender.wait_online(leaver.jid, False)
    send_to_absent(leaver, sender, seen)
    if sender.has_roster and leaver.has_roster:
        sender.wait_online(leaver.jid)


def crash(victim, sender, seen):
    """Is killed while online, and finds on return what was sent since.

    The server may still think the victim online, as after the loss of a network;
    what it writes to that session must not be lost with it.
    """
    victim.wait_shown()
    victim.kill()
    send_to_absent(victim, sender, seen, "crashed")


def send_to_absent(absent, sender, seen, cause="was away"):
    """Messages to a client that is away wait for it (RFC 6121 section 8.5.2.2, XEP-0160)."""
    away = [f"while {absent.user} {cause}, {n}" for n in range(1, AWAY_MESSAGES + 1)]
    for body in away:
        sender.send(absent.jid, body)
    seen[absent] += away
    login(absent)
    absent.wait_received(sender.jid, seen[absent])
    if hasattr(absent, "delayed") and absent.delayed(sender.jid)[-len(away):] != away:
        raise CheckFailed(f"{absent.program} got messages without a delay: {absent.messages}")
