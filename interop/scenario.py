"""What every pair of clients is to show, written once.

Each part asserts: the login is SCRAM over TLS; two accounts befriend each other
and both rosters say so; messages pass both ways; what is sent to a client that
is away, or that was killed, is there, in order and once, when it returns.
"""

from clients.base import CheckFailed

AWAY_MESSAGES = 3


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
