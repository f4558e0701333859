"""Starts Gajim with one account set up, and with what its D-Bus interface lacks.

usage: gajim_launcher.py DIRECTORY [argument of Gajim...]
environment: INTEROP_JID, INTEROP_PASSWORD, INTEROP_HOST, INTEROP_PORT, INTEROP_CERTIFICATE

Gajim 1.7 can be told over D-Bus to send a message, but not to add a contact, and
not to make or enter a group. The methods added here call what its own dialogs call,
and tell the state of a contact and of a group.
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
<method name='create_group'>
  <arg name='room' type='s'/><arg name='account' type='s'/><arg direction='out' type='b'/>
</method>
<method name='invite_to_group'>
  <arg name='room' type='s'/><arg name='jid' type='s'/><arg name='account' type='s'/>
  <arg direction='out' type='b'/>
</method>
<method name='enter_group'>
  <arg name='room' type='s'/><arg name='nick' type='s'/><arg name='account' type='s'/>
  <arg direction='out' type='b'/>
</method>
<method name='group_state'>
  <arg name='room' type='s'/><arg name='account' type='s'/><arg direction='out' type='s'/>
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
    from nbxmpp.errors import StanzaError
    from nbxmpp.protocol import JID

    def add_contact(_self, jid, account):
        app.get_client(account).get_module("Presence").subscribe(jid)
        return True

    def contact_state(_self, jid, account):
        client = app.get_client(account)
        item = client.get_module("Roster").get_item(jid)
        if item is None:
            return "none offline"
        return f"{item.subscription} {client.get_module('Contacts').get_contact(jid).show.value}"

    # nbxmpp holds a callback weakly: this one lives as long as the methods.
    def on_room_info(task):
        try:
            task.finish()
        except StanzaError as error:
            # Its dialog makes no room where there is one.
            if error.condition == "item-not-found":
                config = {"muc#roomconfig_roomname": "Interop"}
                app.get_client(task.get_user_data()).get_module("MUC").create(str(error.jid), config)

    def create_group(_self, room, account):
        discovery = app.get_client(account).get_module("Discovery")
        discovery.disco_info(room, callback=on_room_info, user_data=account)
        return True

    def invite_to_group(_self, room, jid, account):
        app.get_client(account).get_module("MUC").invite(JID.from_string(room), jid)
        return True

    def enter_group(_self, room, nick, account):
        app.get_client(account).get_module("MUC").join(room, nick)
        return True

    def group_state(_self, room, account):
        data = app.get_client(account).get_module("MUC").get_muc_data(room)
        return f"{data.state.name} {data.nick}" if data else "NONE -"

    first = METHODS.splitlines()[-1]
    remote_control.INTERFACE_DESC = remote_control.INTERFACE_DESC.replace(first, METHODS)
    remote_control.GajimRemote.add_contact = add_contact
    remote_control.GajimRemote.contact_state = contact_state
    for method in (create_group, invite_to_group, enter_group, group_state):
        setattr(remote_control.GajimRemote, method.__name__, method)


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
