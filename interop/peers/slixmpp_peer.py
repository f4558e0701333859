"""slixmpp behind the line protocol of clients/line_client.py.

usage: slixmpp_peer.py starttls|direct PORT
environment: INTEROP_JID, INTEROP_PASSWORD, INTEROP_HOST, INTEROP_CA
"""

import asyncio
import os
import pathlib
import sys

import slixmpp
from slixmpp.plugins.xep_0410 import PingStatus

# What Conversations asks for when it makes a private group.
PRIVATE_GROUP = {
    "muc#roomconfig_persistentroom": True, "muc#roomconfig_membersonly": True,
    "muc#roomconfig_publicroom": False, "muc#roomconfig_whois": "anyone",
    "muc#roomconfig_changesubject": False, "muc#roomconfig_allowinvites": False,
    "muc#roomconfig_enablearchiving": True, "mam": True,
    "muc#roomconfig_mam": True,
}


def emit(*fields):
    print("\t".join(map(str, fields)), flush=True)


class Peer(slixmpp.ClientXMPP):
    """One account; logs in and out as told."""

    def __init__(self, transport, port):
        super().__init__(os.environ["INTEROP_JID"] + "/slixmpp", os.environ["INTEROP_PASSWORD"])
        self.ca_certs = pathlib.Path(os.environ["INTEROP_CA"])
        self.transport_kind, self.server_port = transport, int(port)
        self.enable_plaintext = False
        # The check approves by hand.
        self.roster.auto_authorize, self.roster.auto_subscribe = None, False
        for plugin in ("xep_0030", "xep_0045", "xep_0059", "xep_0184", "xep_0198", "xep_0199", "xep_0203",
                       "xep_0249", "xep_0280", "xep_0313", "xep_0333", "xep_0359", "xep_0410", "xep_0425"):
            self.register_plugin(plugin)
        self.tell_of_acknowledgements(self.plugin["xep_0198"])
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("session_resumed", lambda _: emit("resumed"))
        self.add_event_handler("sm_enabled", lambda _: emit("sm"))
        self.add_event_handler("disconnected", lambda _: emit("offline"))
        self.add_event_handler("failed_all_auth", lambda _: emit("error", "authentication failed"))
        self.add_event_handler("connection_failed", lambda reason: emit("error", f"connection failed: {reason}"))
        self.add_event_handler("presence_subscribe", lambda p: emit("request", p["from"].bare))
        self.add_event_handler("presence_available", lambda p: emit("available", p["from"]))
        self.add_event_handler("presence_unavailable", lambda p: emit("unavailable", p["from"]))
        self.add_event_handler("roster_update", self.on_roster)
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("stanza_acked", self.on_acknowledged)
        self.add_event_handler("receipt_received", lambda m: emit("delivered", m["receipt"]))
        self.add_event_handler("marker_displayed", lambda m: emit("read", m["displayed"]["id"]))
        self.add_event_handler("carbon_received", lambda m: self.on_copy("received", m["carbon_received"]))
        self.add_event_handler("carbon_sent", lambda m: self.on_copy("sent", m["carbon_sent"]))

        self.add_event_handler("groupchat_message", self.on_said)
        self.add_event_handler("groupchat_subject", self.on_subject)
        self.add_event_handler("groupchat_presence", self.on_occupant)
        self.add_event_handler("moderated_message", lambda m: emit("moderated", m["from"].bare, m["retract"]["id"]))
        self.add_event_handler("groupchat_invite", lambda m: emit("invited", m["from"].bare))
        self.add_event_handler("groupchat_direct_invite", lambda m: emit("invited", m["groupchat_invite"]["jid"]))

    @staticmethod
    def tell_of_acknowledgements(management):
        """Tells whenever the library tells the server what it has."""
        acknowledge = management.send_ack

        def send_ack():
            acknowledge()
            emit("shown")

        management.send_ack = send_ack

    async def get_dns_records(self, domain, port=None):
        """Stands in for the SRV records of RFC 6120 section 3.2 and XEP-0368."""
        service = "xmpps-client" if self.transport_kind == "direct" else "xmpp-client"
        return [(service, domain, os.environ["INTEROP_HOST"], self.server_port)]

    async def on_start(self, _event):
        await self.get_roster()
        self.send_presence()
        # The answer to a ping follows whatever the server sends upon initial presence.
        await self.plugin["xep_0199"].send_ping(self.boundjid.domain, timeout=10)
        emit("online", self.boundjid, self.plugin["feature_mechanisms"].mech.name)

    def on_roster(self, iq):
        for jid, item in iq["roster"]["items"].items():
            emit("roster", jid, item["subscription"])

    def on_message(self, message):
        if message["type"] in ("chat", "normal") and message["body"]:
            delayed = message.xml.find("{urn:xmpp:delay}delay") is not None
            emit("message", message["from"], int(delayed), message["body"])

    def on_acknowledged(self, stanza):
        if stanza.name == "message":
            emit("sent", stanza["id"])

    def on_copy(self, direction, message):
        emit("copy", direction, message["from" if direction == "received" else "to"], message["body"])

    def on_said(self, message):
        room = message["from"].bare
        kept = message["stanza_id"]["id"] if message["stanza_id"]["by"] == room else ""
        emit("said", room, message["from"].resource, kept, message["body"])

    def on_subject(self, message):
        emit("subject", message["from"].bare, message["from"].resource, message["subject"])

    def on_occupant(self, presence):
        room, nick = presence["from"].bare, presence["from"].resource
        codes = presence["muc"]["status_codes"]
        if presence["type"] != "unavailable":
            return
        if 303 in codes:
            emit("renamed", room, nick, presence["muc"]["item"]["nick"])
        else:
            emit("gone", room, nick, " ".join(map(str, sorted(codes))))

    async def create(self, room, nick):
        """A private group, as Conversations makes one: the form is submitted with what it knows."""
        rooms = self.plugin["xep_0045"]
        await rooms.join_muc_wait(room, nick, timeout=10)
        form = await rooms.get_room_config(room)
        known = form.get_fields()
        wanted = {name: value for name, value in PRIVATE_GROUP.items() if name in known}
        form["values"] = form.get_values() | wanted
        form.reply()
        await rooms.set_room_config(room, form)
        emit("created")

    async def page(self, after, size, room):
        """A page of the archive of a room."""
        rsm = {"max": int(size)} | ({"after": after} if after else {})
        answer = await self.plugin["xep_0313"].retrieve(jid=room, rsm=rsm, timeout=10)
        for message in answer["mam"]["results"]:
            result = message["mam_result"]
            # What was taken back has no body any more, and neither has the message that takes it back.
            if body := result["forwarded"]["stanza"]["body"]:
                emit("result", result["id"], body)
        fin = answer["mam_fin"]
        emit("page", int(fin["complete"] in (True, "true", "1")), fin["rsm"]["last"])

    async def obey_about_rooms(self, command, room, *fields):
        rooms = self.plugin["xep_0045"]
        if command == "create":
            await self.create(room, *fields)
        elif command == "grant":
            await rooms.send_affiliation_list(room, [(jid, "member") for jid in fields])
            emit("granted")
        elif command == "invite":
            rooms.invite(room, fields[0])
        elif command == "direct":
            self.plugin["xep_0249"].send_invitation(fields[0], room)
        elif command == "enter":
            await rooms.join_muc_wait(room, fields[0], maxstanzas=0, timeout=10)
            emit("entered", room)
        elif command == "say":
            self.send_message(mto=room, mbody=fields[0], mtype="groupchat")
            emit("passed")
        elif command == "subject":
            rooms.set_subject(room, fields[0])
        elif command == "rename":
            await rooms.set_self_nick(room, fields[0], timeout=10)
        elif command == "kick":
            await rooms.set_role(room, fields[0], "none")
        elif command == "moderate":
            await self.plugin["xep_0425"].moderate(slixmpp.JID(room), fields[0], "enough")
        elif command == "check":
            own = slixmpp.JID(f"{room}/{fields[0]}")
            status = await self.plugin["xep_0410"].send_self_ping(own, timeout=10)
            emit("inside", int(status == PingStatus.JOINED))

    def track(self, jid, identifier, body):
        """Sends a message and asks for all that its recipient can tell of it."""
        message = self.make_message(mto=jid, mbody=body, mtype="chat")
        message["id"] = identifier
        message["request_receipt"] = True
        message.enable("markable")
        message.send()

    async def obey(self, command, *fields):
        if command == "login":
            self.connect()
        elif command == "logout":
            await self.disconnect()
        elif command == "cut":
            self.transport.abort()
        elif command == "add":
            await self.update_roster(fields[0])
            self.send_presence(pto=fields[0], ptype="subscribe")
        elif command == "approve":
            self.send_presence(pto=fields[0], ptype="subscribed")
        elif command == "send":
            self.send_message(mto=fields[0], mbody=fields[1], mtype="chat")
            emit("passed")
        elif command == "track":
            self.track(*fields)
        elif command == "mark":
            self.plugin["xep_0333"].send_marker(fields[0], fields[1], "displayed", mtype="chat")
        elif command == "copies":
            await self.plugin["xep_0280"].enable()
            emit("copies")
        elif command == "ping":
            await self.plugin["xep_0199"].send_ping(self.boundjid.domain, timeout=10)
            emit("pong")
        elif command == "page":
            await self.page(*fields)
        else:
            await self.obey_about_rooms(command, *fields)


async def main():
    peer = Peer(*sys.argv[1:])
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().rstrip("\n"):
        try:
            await peer.obey(*line.split("\t"))
        except Exception as error:
            emit("error", f"{type(error).__name__} {error}")
    await peer.disconnect()


asyncio.run(main())
