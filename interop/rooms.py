"""What stock clients are to show in one room (XEP-0045).

Everybody sees the same messages, in the same order and once, whatever room the
messages came through: while all are there, after one was away, and after a
restart of the server. What was said is one list, `said`; what a client was given
since it entered must be the end of it.
"""

import secrets

from clients.base import CheckFailed, wait_for
from harness import server
from scenario import AWAY_MESSAGES, login, resume_stream

ROUNDS = 3
PAGE = 4


def new_room():
    """The address of a room that is not there yet."""
    return f"room-{secrets.token_hex(3)}@{server.MUC_DOMAIN}"


def group(terminal, creator, library, script, own):
    """Four clients in a private group; each goes and comes back, then the server does."""
    room, said = new_room(), []
    people = {terminal: "terry", creator: "gail", library: "lib", script: "jay"}
    for client in people:
        login(client)
    creator.create(room, people[creator])
    # Who may not enter knows it, and enters when it may.
    terminal.be_refused(room, people[terminal], "registration-required")
    admit(room, creator, [client for client in people if client is not creator], people)
    together(room, people, said)
    for absent in (terminal, library, script, creator):
        be_away(room, absent, people, said)
    outlive_restart(room, terminal, people, said, own)
    read_archive(room, (creator, library), said)
    for client in (creator, library):
        client.must_be_inside(room, people[client])


def pair(creator, other):
    """Two clients in a group made as Conversations makes it; one crashes, and does not enter of itself."""
    room, said = new_room(), []
    people = {creator: "con", other: "gail"}
    for client in people:
        login(client)
    creator.create(room, people[creator])
    admit(room, creator, [other], people, direct=True)
    together(room, people, said)
    other.wait_shown()
    other.kill()
    miss(room, other, people, said)
    be_told(room, other, people, said)
    creator.must_be_inside(room, people[creator])
    read_archive(room, (creator, other), said)
    creator.moderate(room, said[0][1])
    read_archive(room, (creator, other), said[1:])


def desktop(creator, terminal, library):
    """A group that Gajim makes and keeps the history of; everybody goes and comes back."""
    room, said = new_room(), []
    people = {creator: creator.user, terminal: "terry", library: "lib"}
    for client in people:
        login(client)
    creator.create(room, people[creator])
    admit(room, creator, [terminal, library], people)
    together(room, people, said)
    for absent in (creator, terminal, library):
        be_away(room, absent, people, said)
    if creator.heard(room) != said:
        raise CheckFailed(f"{creator.program} keeps {creator.heard(room)}, said was {said}")


def open_room(terminal, guest):
    """A room that comes of entering it: everybody enters; subject, nicknames, kick."""
    room, said = new_room(), []
    people = {terminal: "terry", guest: "guest"}
    for client in people:
        login(client)
    terminal.enter(room, people[terminal])
    terminal.accept_defaults()
    guest.enter(room, people[guest])
    together(room, people, said)
    terminal.in_room("/subject set Tea at five", "Tea at five")
    guest.wait_subject(room, "terry", "Tea at five")
    guest.rename(room, "visitor")
    terminal.wait_shown_in_room("guest is now known as visitor")
    # Profanity says nothing of its own new name, but goes by it.
    terminal.rename(room, "terence")
    guest.wait_renamed(room, "terry", "terence")
    people |= {terminal: "terence", guest: "visitor"}
    for client in people:
        speak(room, client, people, said)
        everybody_heard(room, people, said)
    guest.must_be_inside(room, "visitor")
    terminal.in_room("/kick visitor enough", "visitor has been kicked")
    guest.wait_gone(room, "visitor", "307")
    guest.must_be_inside(room, "visitor", False)
    # Whoever was kicked may come again (section 8.2).
    guest.enter(room, "guest")
    people |= {guest: "guest"}
    speak(room, terminal, people, said)
    everybody_heard(room, people, said)


def admit(room, creator, others, people, direct=False):
    """The others are made members, are invited, and enter."""
    creator.grant(room, [other.jid for other in others])
    for other in others:
        creator.invite(room, other.jid, direct)
        other.wait_invited(room)
        other.enter(room, people[other])


def speak(room, sender, people, said, text=""):
    """One message more in the room."""
    body = f"{len(said) + 1} of {people[sender]} <&> \u00fc{text}"
    sender.say(room, body)
    said.append((people[sender], body))


def together(room, people, said):
    """All speak at once; all hear the same, in one order."""
    bodies = {(nick, f"{n} of {nick} at once") for nick in people.values() for n in range(ROUNDS)}
    known = len(said)
    for n in range(ROUNDS):
        for client, nick in people.items():
            client.say(room, f"{n} of {nick} at once")
    first = next(client for client in people if client.wants_no_history)
    wait_for(f"{first.program} to hear {len(bodies)} messages",
             lambda: len(first.heard(room)) >= known + len(bodies), detail=lambda: repr(first.heard(room)))
    said += first.heard(room)[known:]
    if len(said) != known + len(bodies) or set(said[known:]) != bodies:
        raise CheckFailed(f"{first.program} heard {said[known:]}")
    for nick in people.values():
        own = [body for who, body in said[known:] if who == nick]
        if own != sorted(own):
            raise CheckFailed(f"{nick} said {sorted(own)}, and it came as {own}")
    everybody_heard(room, people, said)


def everybody_heard(room, people, said):
    """All that are here have heard what was said last, and nothing twice."""
    for client in people:
        hears(room, client, said, 1)


def hears(room, client, said, least):
    """What the client was given since it entered is the end of what was said, at least so much of it."""
    wait_for(f"{client.program} to hear {said[-1]}", lambda: said[-1] in client.heard(room),
             detail=lambda: repr(client.heard(room)))
    heard = client.heard(room)
    if heard != said[-len(heard):] or len(heard) < least:
        raise CheckFailed(f"{client.program} heard {heard}; said was {said}")
    client.wait_displayed(room)


def be_away(room, absent, people, said):
    """One quits and misses what the others say."""
    absent.wait_shown()
    absent.logout()
    miss(room, absent, people, said)


def miss(room, absent, people, said):
    """The others speak while one is away; it comes, enters, and has all that it missed and nothing twice."""
    others = {client: nick for client, nick in people.items() if client is not absent}
    before = len(said)
    for n in range(AWAY_MESSAGES):
        for client in others:
            speak(room, client, people, said)
            everybody_heard(room, others, said)
    come_back(room, absent, people, said, len(said) - before)


def be_told(room, absent, people, said):
    """A member is online and not in the room: what is said there is made known to it by an invitation."""
    absent.wait_shown()
    absent.logout()
    login(absent)
    (speaker,) = (client for client in people if client is not absent)
    missed = 2
    for _ in range(missed):
        speak(room, speaker, people, said)
        everybody_heard(room, [speaker], said)
    absent.wait_invited(room)
    absent.enter(room, people[absent])
    hears(room, absent, said, missed)
    if absent.invitations != [room]:
        raise CheckFailed(f"{absent.program} is invited more than once: {absent.invitations}")


def come_back(room, absent, people, said, missed):
    """Logs in and enters; who asks for no history gets what it missed, and others the usual history too."""
    login(absent)
    absent.enter(room, people[absent])
    hears(room, absent, said, missed)
    if absent.wants_no_history and len(absent.heard(room)) != missed:
        raise CheckFailed(f"{absent.program} missed {missed} messages and was given {absent.heard(room)}")


def outlive_restart(room, leaver, people, said, own):
    """The server restarts: who resumes is still in the room, and the others come back to what they missed."""
    stayers = {client: nick for client, nick in people.items() if client is not leaver}
    leaver.wait_shown()
    for client in stayers:
        client.wait_shown()
    own.restart()
    leaver.close()
    for client in stayers:
        client.wait_offline()
    for client in stayers:
        resume_stream(client)
    before = len(said)
    for client in stayers:
        speak(room, client, people, said)
        everybody_heard(room, stayers, said)
    come_back(room, leaver, people, said, len(said) - before)
    speak(room, leaver, people, said)
    everybody_heard(room, people, said)


def read_archive(room, readers, said):
    """The room's archive (XEP-0313) has what was said, and each message under the id that it came with."""
    for reader in readers:
        pages = reader.pages(PAGE, room=room)
        found = [body for page in pages for _, body in page]
        if found != [body for _, body in said]:
            raise CheckFailed(f"{reader.program} finds {found}, said was {said}")
        if max(map(len, pages)) > PAGE:
            raise CheckFailed(f"{reader.program} was given pages of {[len(page) for page in pages]}")
        archived = {body: identifier for page in pages for identifier, body in page}
        came = {body: identifier for body, identifier in reader.heard_ids(room).items() if body in archived}
        if not came or came != {body: archived[body] for body in came}:
            raise CheckFailed(f"{reader.program}: {came} are archived as {archived}")
