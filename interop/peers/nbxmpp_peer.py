"""nbxmpp behind the line protocol of clients/line_client.py.

environment: INTEROP_JID, INTEROP_PASSWORD, INTEROP_HOST, INTEROP_PORT, INTEROP_CERTIFICATE
"""

import os
import sys
import uuid

from gi.repository import Gio, GLib
from nbxmpp.client import Client
from nbxmpp.const import ConnectionProtocol, ConnectionType, InviteType, StatusCode
from nbxmpp.modules.receipts import build_receipt
from nbxmpp.namespaces import Namespace
from nbxmpp.protocol import JID, Iq, Message, Presence
from nbxmpp.structs import StanzaHandler

# What Gajim asks for when it makes a group (get_default_muc_config).
PRIVATE_GROUP = {
    "muc#roomconfig_allowinvites": True, "muc#roomconfig_publicroom": False,
    "muc#roomconfig_membersonly": True, "muc#roomconfig_persistentroom": True,
    "muc#roomconfig_whois": "anyone", "muc#roomconfig_moderatedroom": False,
    "muc#roomconfig_enablelogging": True, "allow_voice_requests": False, "public_list": False,
    "mam": True, "{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites": True,
    "muc#roomconfig_enablearchiving": True,
}


def emit(*fields):
    print("\t".join(map(str, fields)), flush=True)


class Peer:
    """One account; logs in and out as told."""

    def __init__(self, loop):
        self.loop = loop
        jid = JID.from_string(os.environ["INTEROP_JID"])
        address = f"{os.environ['INTEROP_HOST']}:{os.environ['INTEROP_PORT']}"
        self.making = self.entering = None
        self.client = client = Client(log_context="peer")
        client.set_domain(jid.domain)
        client.set_username(jid.localpart)
        client.set_password(os.environ["INTEROP_PASSWORD"])
        client.set_resource("nbxmpp")
        client.set_connection_types([ConnectionType.START_TLS])
        client.set_protocols([ConnectionProtocol.TCP])
        client.set_custom_host(address, ConnectionProtocol.TCP, ConnectionType.START_TLS)
        certificate = Gio.TlsCertificate.new_from_file(os.environ["INTEROP_CERTIFICATE"])
        client.set_accepted_certificates([certificate])
        client.subscribe("connected", self.on_connected)
        client.subscribe("resume-successful", lambda *_: emit("resumed"))
        client.subscribe("disconnected", lambda *_: emit("offline"))
        client.subscribe("connection-failed", lambda *_: emit("error", "connection failed"))
        for name, callback, options in (
            ("message", self.on_message, {}),
            ("presence", self.on_presence, {}),
            ("r", lambda *_: emit("shown"), {"xmlns": Namespace.STREAM_MGMT, "priority": 60}),
            ("iq", self.on_roster_push, {"typ": "set", "ns": Namespace.ROSTER}),
        ):
            client.register_handler(StanzaHandler(name=name, callback=callback, **options))

    def on_connected(self, *_):
        self.client.get_module("Roster").request_roster(callback=self.on_roster)

    def on_roster(self, task):
        for item in task.finish().items or ():
            emit("roster", item.jid, item.subscription)
        self.client.send_stanza(Presence())
        self.ping(self.on_online)

    def on_online(self, _task):
        emit("online", self.client.get_bound_jid(), self.mechanism())
        if self.client.resumeable:
            emit("sm")

    def mechanism(self):
        """nbxmpp tells its choice only in its log, and in this attribute."""
        return self.client._sasl._mechanism.name

    def on_roster_push(self, _client, _stanza, properties):
        emit("roster", properties.roster.item.jid, properties.roster.item.subscription)

    def on_presence(self, _client, _stanza, properties):
        if properties.from_muc:
            self.on_occupant(properties)
            return
        kinds = {None: "available", "unavailable": "unavailable", "subscribe": "request"}
        if properties.type.value in kinds:
            emit(kinds[properties.type.value], properties.jid)

    def on_occupant(self, properties):
        room, nick = str(properties.muc_jid), properties.muc_nickname
        codes = properties.muc_status_codes or set()
        if properties.type.is_unavailable:
            if StatusCode.NICKNAME_CHANGE in codes:
                emit("renamed", room, nick, properties.muc_user.nick)
            else:
                emit("gone", room, nick, " ".join(sorted(code.value for code in codes)))
        elif StatusCode.SELF in codes and room == self.making and StatusCode.CREATED in codes:
            self.client.get_module("MUC").request_config(room, callback=self.on_config)

    def on_config(self, task):
        result = task.finish()
        for name, value in PRIVATE_GROUP.items():
            if name in result.form.vars:
                result.form[name].value = value
        self.client.get_module("MUC").set_config(result.jid, result.form, callback=self.on_configured)

    def on_configured(self, task):
        task.finish()
        emit("created")

    def on_groupchat(self, stanza, properties):
        room = str(properties.muc_jid)
        if properties.muc_subject is not None:
            # Gajim takes it for the end of entering, too.
            emit("subject", room, properties.muc_nickname or "", properties.muc_subject.text or "")
            if room == self.entering:
                self.entering = None
                emit("entered", room)
        elif properties.is_mam_message and properties.body:
            emit("result", properties.mam.id, properties.body)
        elif properties.body:
            kept = [kept.id for kept in properties.stanza_ids if str(kept.by) == room]
            emit("said", room, properties.muc_nickname, *kept, properties.body)

    def on_message(self, _client, stanza, properties):
        if properties.type.is_groupchat:
            self.on_groupchat(stanza, properties)
            return
        if properties.muc_invite is not None:
            emit("invited", properties.muc_invite.muc)
            return
        if not properties.body or properties.type.value not in ("chat", "normal"):
            return
        if properties.is_mam_message:
            emit("result", properties.mam.id, properties.body)
            return
        if properties.is_carbon_message:
            other = properties.from_ if properties.carbon.is_received else properties.to
            emit("copy", properties.carbon.type, other, properties.body)
            return
        for kept in properties.stanza_ids:
            if JID.from_string(kept.by).bare_match(self.client.get_bound_jid()):
                emit("kept", kept.id)
        delayed = stanza.getTag("delay", namespace=Namespace.DELAY2) is not None
        emit("message", properties.jid, int(delayed), properties.body)
        # The library leaves it to the program to answer.
        if properties.receipt is not None and properties.receipt.is_request:
            self.client.send_stanza(build_receipt(stanza))

    def mark(self, jid, identifier):
        marker = Message(to=jid, typ="chat")
        marker.setMarker("displayed", identifier)
        self.client.send_stanza(marker)

    def request_page(self, after, size, room):
        """A page of the own archive, or of that of a room."""
        owner = JID.from_string(room) if room else self.client.get_bound_jid().new_as_bare()
        self.client.get_module("MAM").make_query(
            owner, queryid=str(uuid.uuid4()), after=after or None, max_=int(size), callback=self.on_page)

    def on_page(self, task):
        page = task.finish()
        emit("page", int(page.complete), page.rsm.last or "")

    def enable_copies(self):
        """The library reads copies and leaves it to the program to ask for them."""
        request = Iq("set")
        request.addChild("enable", namespace=Namespace.CARBONS)
        self.client.send_stanza(request, callback=self.on_copies)

    def on_copies(self, _client, answer):
        emit("copies") if answer.getType() == "result" else emit("error", answer)

    def on_pong(self, _task):
        emit("pong")

    def on_own_pong(self, task):
        """What an answer means is left to the program; Gajim itself does not ask."""
        try:
            task.finish()
            emit("inside", 1)
        except Exception as error:
            emit("inside", int(getattr(error, "condition", "") in ("service-unavailable", "feature-not-implemented")))

    def enter(self, room, nick, maxchars):
        presence = Presence(to=f"{room}/{nick}")
        wish = presence.setTag(Namespace.MUC + " x")
        if maxchars is not None:
            wish.setTag("history", {"maxchars": maxchars})
        self.client.send_stanza(presence)

    def on_granted(self, task):
        task.finish()
        emit("granted")

    def obey_about_rooms(self, command, room, *fields):
        muc = self.client.get_module("MUC")
        if command == "create":
            self.making = room
            self.enter(room, fields[0], None)
        elif command == "grant":
            users = {jid: {"affiliation": "member"} for jid in fields}
            muc.set_affiliation(JID.from_string(room), users, callback=self.on_granted)
        elif command in ("invite", "direct"):
            kind = InviteType.MEDIATED if command == "invite" else InviteType.DIRECT
            muc.invite(room, fields[0], None, type_=kind)
        elif command == "enter":
            self.entering = room
            self.enter(room, fields[0], "0")
        elif command == "say":
            self.client.send_stanza(Message(to=room, body=fields[0], typ="groupchat"))
            emit("passed")
        elif command == "subject":
            muc.set_subject(room, fields[0])
        elif command == "rename":
            self.client.send_stanza(Presence(to=f"{room}/{fields[0]}"))
        elif command == "kick":
            muc.set_role(JID.from_string(room), fields[0], "none")
        elif command == "check":
            own = JID.from_string(f"{room}/{fields[0]}")
            self.client.get_module("Ping").ping(own, callback=self.on_own_pong)

    def ping(self, callback):
        """Pings the server; `callback` must be a method, for nbxmpp holds it weakly."""
        self.client.get_module("Ping").ping(self.client.domain, callback=callback)

    def obey(self, command, *fields):
        if command == "login":
            self.client.connect()
        elif command == "logout":
            self.client.disconnect()
        elif command == "add":
            self.client.get_module("Roster").set_item(fields[0], None)
            self.client.get_module("BasePresence").subscribe(fields[0])
        elif command == "approve":
            self.client.get_module("BasePresence").subscribed(fields[0])
        elif command == "send":
            self.client.send_stanza(Message(to=fields[0], body=fields[1], typ="chat"))
            emit("passed")
        elif command == "mark":
            self.mark(*fields)
        elif command == "page":
            self.request_page(*fields)
        elif command == "copies":
            self.enable_copies()
        elif command == "ping":
            self.ping(self.on_pong)
        else:
            self.obey_about_rooms(command, *fields)

    def on_input(self, channel, _condition):
        line = channel.readline()
        if not line:
            self.loop.quit()
            return False
        self.obey(*line.rstrip("\n").split("\t"))
        return True


loop = GLib.MainLoop()
peer = Peer(loop)
GLib.io_add_watch(GLib.IOChannel.unix_new(sys.stdin.fileno()), GLib.IO_IN | GLib.IO_HUP, peer.on_input)
loop.run()
