"""The table of checks: name, clients, scenario, time limit."""

from dataclasses import dataclass


#: The exit code of a check that the server gives no ground for.
SKIPPED = 77


@dataclass(frozen=True)
class Check:
    """Clients and what they are to show; or, without clients, a suite of others."""

    clients: tuple = ()
    #: A function of scenario.py, or of another file: rooms.group.
    scenario: str = "meet"
    seconds: int = 60
    #: A program of this folder to run instead of a scenario.
    program: str = ""
    #: The account of each client, by number; without it each has its own.
    accounts: tuple = ()
    #: Whether it runs against a server of its own, which its scenario may restart.
    own_server: bool = False


SLIXMPP = "line_client.Slixmpp"
NBXMPP = "line_client.Nbxmpp"
XMPP_JS = "line_client.XmppJs"

# The longest first: with two at a time they decide when the run ends.
CHECKS = {
    "slixmpp-itests": Check(program="slixmpp_itests", seconds=150),
    "profanity-gajim": Check(("profanity.Profanity", "gajim.Gajim"), seconds=90),
    "room-group": Check(("profanity.Profanity", NBXMPP, SLIXMPP, XMPP_JS), "rooms.group", 120, own_server=True),
    "room-gajim": Check(("gajim.Gajim", "profanity.Profanity", SLIXMPP), "rooms.desktop", 90),
    "room-pair": Check((SLIXMPP, NBXMPP), "rooms.pair"),
    "room-open": Check(("profanity.Profanity", SLIXMPP), "rooms.open_room"),
    "mcabber": Check(("mcabber.Mcabber", SLIXMPP)),
    "profanity": Check(("profanity.Profanity", SLIXMPP)),
    "slixmpp-nbxmpp": Check((SLIXMPP, NBXMPP)),
    "slixmpp-direct-tls": Check(("line_client.SlixmppDirectTls", SLIXMPP)),
    "slixmpp-resume": Check((SLIXMPP, SLIXMPP), scenario="resume"),
    "restart-slixmpp-xmpp.js": Check((SLIXMPP, XMPP_JS), scenario="restart", own_server=True),
    "restart-nbxmpp-slixmpp": Check((NBXMPP, SLIXMPP), scenario="restart", own_server=True),
    "nbxmpp-archive": Check((NBXMPP, SLIXMPP), scenario="archive"),
    "carbons": Check((SLIXMPP, NBXMPP, SLIXMPP), scenario="copies", accounts=(0, 0, 1)),
    "ticks": Check((SLIXMPP, NBXMPP), scenario="ticks"),
    "libstrophe": Check(("line_client.Strophe", SLIXMPP)),
    "xmpp.js": Check((XMPP_JS, SLIXMPP)),
    "xmpp.js-token": Check((XMPP_JS, SLIXMPP), scenario="readmit"),
    "xmpp.js-direct-tls": Check(("line_client.XmppJsDirectTls", SLIXMPP)),
    "xmpp.js-websocket": Check(("line_client.XmppJsWebSocket", SLIXMPP)),
    "go-sendxmpp": Check(("go_sendxmpp.GoSendxmpp", SLIXMPP), scenario="notify"),
    "go-sendxmpp-listen": Check(("go_sendxmpp.GoSendxmpp", SLIXMPP), scenario="listen"),
}
