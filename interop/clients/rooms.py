"""What a peer knows of rooms (XEP-0045): more lines of the protocol of line_client.py.

    create ROOM NICK         created                  (a private group, as its program makes one)
    grant ROOM JID...        granted                  (membership)
    invite ROOM JID          there: invited ROOM      (through the room)
    direct ROOM JID          there: invited ROOM      (from client to client, XEP-0249)
    enter ROOM NICK          entered ROOM
    say ROOM BODY            passed, and here and there: said ROOM NICK ID BODY
    subject ROOM TEXT        here and there: subject ROOM NICK TEXT
    rename ROOM NICK         here and there: renamed ROOM OLD NEW
    kick ROOM NICK           here and there: gone ROOM NICK CODES
    moderate ROOM ID         here and there: moderated ROOM ID    (XEP-0425)
    check ROOM NICK          inside 0|1               (pings itself, XEP-0410)

ID is the one of the room's archive. `page AFTER SIZE ROOM` pages the archive of a room.
"""

from clients.base import CheckFailed


class Rooms:
    """The part of a `LineClient` that is about rooms."""

    #: Whether it asks a room that it enters for no history.
    wants_no_history = True

    def __init__(self):
        self.done, self.inside = set(), None
        self.invitations, self.entered = [], set()
        self.said, self.subjects, self.renamed, self.gone = [], [], [], []
        self.moderated = set()

    def _on_created(self):
        self.done.add("created")

    def _on_granted(self):
        self.done.add("granted")

    def _on_invited(self, room):
        self.invitations.append(room)

    def _on_entered(self, room):
        self.entered.add(room)

    def _on_said(self, room, nick, identifier, body):
        self.said.append((room, nick, identifier, body))
        self.unshown = True

    def _on_subject(self, room, nick, text):
        self.subjects.append((room, nick, text))

    def _on_renamed(self, room, old, new):
        self.renamed.append((room, old, new))

    def _on_gone(self, room, nick, codes):
        self.gone.append((room, nick, codes))

    def _on_moderated(self, room, identifier):
        self.moderated.add((room, identifier))

    def _on_inside(self, is_inside):
        self.inside = is_inside == "1"

    def _ask(self, answer, *command):
        self.done.discard(answer)
        self._tell(*command)
        self._wait(f"to have it {answer}: {' '.join(command)}", lambda: answer in self.done)

    def create(self, room, nick):
        """Makes a private group: persistent, members-only, not anonymous, not public, archived."""
        self._ask("created", "create", room, nick)

    def grant(self, room, jids):
        """Makes these accounts members."""
        self._ask("granted", "grant", room, *jids)

    def invite(self, room, jid, direct=False):
        """Invites somebody through the room, or directly."""
        self._tell("direct" if direct else "invite", room, jid)

    def wait_invited(self, room):
        """Waits until it is invited."""
        self._wait(f"to be invited to {room}", lambda: room in self.invitations)

    def enter(self, room, nick):
        """Enters; what is said from here on, and shown of the past, is `heard`."""
        self.said, self.entered = [], set()
        self._tell("enter", room, nick)
        self._wait(f"to enter {room}", lambda: room in self.entered)

    def say(self, room, body):
        """Says something in the room, and does not wait for the server."""
        before = self.passed
        self._tell("say", room, body)
        self._wait("to take a message for sending", lambda: self.passed > before)

    def heard(self, room):
        """Nickname and body of all that it was given since it entered, in order."""
        return [(nick, body) for place, nick, _, body in self.said if place == room]

    def heard_ids(self, room):
        """The same by body: the ids of the room's archive."""
        return {body: identifier for place, _, identifier, body in self.said if place == room}

    def set_subject(self, room, text):
        """Sets the room's subject."""
        self._tell("subject", room, text)

    def wait_subject(self, room, nick, text):
        """Waits until it is told of that subject, set by that nickname."""
        self._wait(f"to see the subject {text}", lambda: (room, nick, text) in self.subjects)

    def rename(self, room, nick):
        """Takes another nickname."""
        self._tell("rename", room, nick)

    def wait_renamed(self, room, old, new):
        """Waits until it sees that `old` is now `new`."""
        self._wait(f"to see {old} become {new}", lambda: (room, old, new) in self.renamed)

    def kick(self, room, nick):
        """Kicks an occupant."""
        self._tell("kick", room, nick)

    def wait_gone(self, room, nick, code=""):
        """Waits until it sees an occupant go, with that status code."""
        def is_gone():
            return any(place == room and who == nick and code in codes.split() or not code
                       for place, who, codes in self.gone)
        self._wait(f"to see {nick} go", is_gone)

    def moderate(self, room, body):
        """Takes back what somebody else said, and waits until it is told of it."""
        identifier = self.heard_ids(room)[body]
        self._tell("moderate", room, identifier)
        self._wait(f"to see {body} retracted", lambda: (room, identifier) in self.moderated)

    def must_be_inside(self, room, nick, expected=True):
        """Pings itself through the room (XEP-0410)."""
        self.inside = None
        self._tell("check", room, nick)
        self._wait("to be answered by itself", lambda: self.inside is not None)
        if self.inside != expected:
            raise CheckFailed(f"{self.program} finds itself {'inside' if self.inside else 'outside'} {room}")
