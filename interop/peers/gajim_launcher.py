"""Starts Gajim with one account set up, and with what its D-Bus interface lacks.

usage: gajim_launcher.py DIRECTORY [argument of Gajim...]
environment: INTEROP_JID, INTEROP_PASSWORD, INTEROP_HOST, INTEROP_PORT, INTEROP_CERTIFICATE

Gajim 1.7 can be told over D-Bus to send a message, but not to add a contact. The
two methods added here call what its own dialog calls, and tell a contact's state.
"""

import json
import os
import pathlib
import shutil
import sqlite3
import sys

ACCOUNT = "interop"

METHODS = """
<method name='add_contact'>
  <arg name='jid' type='s'/><arg name='account' type='s'/><arg direction='out' type='b'/>
</method>
<method name='contact_state'>
  <arg name='jid' type='s'/><arg name='account' type='s'/><arg direction='out' type='s'/>
</method>
<method name='get_status'>"""

APPLICATION_SETTINGS = {
    "remote_control": True,
    "use_keyring": False,
    "check_for_update": False,
    "plugins_auto_update": False,
    "plugins_update_check": False,
    "last_update_check": "2999-01-01 00:00",
    "show_main_window_on_startup": "always",
    "is_window_visible": True,
}


def set_up(directory):
    """Writes Gajim's settings database and trusts the server's certificate."""
    from gajim.common.settings import CREATE_SQL

    user, _, domain = os.environ["INTEROP_JID"].partition("@")
    account = {
        "name": user, "hostname": domain, "password": os.environ["INTEROP_PASSWORD"],
        "savepass": True, "active": True, "autoconnect": True, "account_label": ACCOUNT,
        "use_custom_host": True, "custom_host": os.environ["INTEROP_HOST"],
        "custom_port": int(os.environ["INTEROP_PORT"]), "custom_type": "START TLS",
        "confirm_unencrypted_connection": False, "resource": "gajim", "autoauth": True,
    }
    settings = {"account": account, "contact": {}, "group_chat": {}}
    (directory / "cert_store").mkdir(parents=True)
    shutil.copy(os.environ["INTEROP_CERTIFICATE"], directory / "cert_store/server")
    database = sqlite3.connect(directory / "settings.sqlite")
    database.executescript(CREATE_SQL)
    database.execute("UPDATE settings SET settings = ? WHERE name = 'app'",
                     (json.dumps(APPLICATION_SETTINGS),))
    database.execute("INSERT INTO account_settings VALUES (?, ?)", (ACCOUNT, json.dumps(settings)))
    database.commit()
    database.close()


def extend_remote_control():
    """Adds the methods to Gajim's D-Bus object, before it is exported."""
    from gajim.common import app
    from gajim.common.dbus import remote_control

    def add_contact(_self, jid, account):
        app.get_client(account).get_module("Presence").subscribe(jid)
        return True

    def contact_state(_self, jid, account):
        client = app.get_client(account)
        item = client.get_module("Roster").get_item(jid)
        if item is None:
            return "none offline"
        return f"{item.subscription} {client.get_module('Contacts').get_contact(jid).show.value}"

    first = METHODS.splitlines()[-1]
    remote_control.INTERFACE_DESC = remote_control.INTERFACE_DESC.replace(first, METHODS)
    remote_control.GajimRemote.add_contact = add_contact
    remote_control.GajimRemote.contact_state = contact_state


def main():
    directory = pathlib.Path(sys.argv[1])
    from gajim import gajim

    gajim._check_required_deps()
    if not directory.exists():
        set_up(directory)
    extend_remote_control()
    sys.argv = ["gajim", "-c", str(directory), *sys.argv[2:]]
    gajim.main()


main()
