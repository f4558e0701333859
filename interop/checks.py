"""The table of checks: name, clients, scenario, time limit."""

from dataclasses import dataclass


#: The exit code of a check that the server gives no ground for.
SKIPPED = 77


@dataclass(frozen=True)
class Check:
    """Two clients and what they are to show; or, without clients, a suite of others."""

    clients: tuple = ()
    scenario: str = "meet"
    seconds: int = 60
    #: A program of this folder to run instead of a scenario.
    program: str = ""


SLIXMPP = "line_client.Slixmpp"

# The longest first: with two at a time they decide when the run ends.
CHECKS = {
    "slixmpp-itests": Check(program="slixmpp_itests", seconds=150),
    "profanity-gajim": Check(("profanity.Profanity", "gajim.Gajim"), seconds=90),
    "mcabber": Check(("mcabber.Mcabber", SLIXMPP)),
    "profanity": Check(("profanity.Profanity", SLIXMPP)),
    "slixmpp-nbxmpp": Check((SLIXMPP, "line_client.Nbxmpp")),
    "slixmpp-direct-tls": Check(("line_client.SlixmppDirectTls", SLIXMPP)),
    "slixmpp-resume": Check((SLIXMPP, SLIXMPP), scenario="resume"),
    "libstrophe": Check(("line_client.Strophe", SLIXMPP)),
    "xmpp.js": Check(("line_client.XmppJs", SLIXMPP)),
    "xmpp.js-token": Check(("line_client.XmppJs", SLIXMPP), scenario="readmit"),
    "xmpp.js-direct-tls": Check(("line_client.XmppJsDirectTls", SLIXMPP)),
    "xmpp.js-websocket": Check(("line_client.XmppJsWebSocket", SLIXMPP)),
    "go-sendxmpp": Check(("go_sendxmpp.GoSendxmpp", SLIXMPP), scenario="notify"),
    "go-sendxmpp-listen": Check(("go_sendxmpp.GoSendxmpp", SLIXMPP), scenario="listen"),
}
