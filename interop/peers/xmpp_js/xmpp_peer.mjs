// @xmpp/client behind the line protocol of clients/line_client.py.
//
// usage: node xmpp_peer.mjs SERVICE      (xmpp://, xmpps:// or ws://)
// environment: INTEROP_JID, INTEROP_PASSWORD, NODE_EXTRA_CA_CERTS

import { randomUUID } from "node:crypto";
import readline from "node:readline";
import { setImmediate } from "node:timers/promises";

import { client, xml } from "@xmpp/client";
import { WebSocket } from "ws";

// Node before 22 has no global WebSocket.
globalThis.WebSocket ??= WebSocket;

const ROSTER = "jabber:iq:roster";
const MUC = "http://jabber.org/protocol/muc";
const bare = (address) => address.split("/")[0];
const nickOf = (address) => address.slice(bare(address).length + 1);
const [service] = process.argv.slice(2);
const [username, domain] = process.env.INTEROP_JID.split("@");
const emit = (...fields) => console.log(fields.join("\t"));

// One id for all logins of this process: a token is good for the client that it was given to.
const userAgent = xml("user-agent", { id: randomUUID() }, xml("software", {}, "xmpp.js"));
let mechanism = "";
const xmpp = client({
  service,
  domain,
  resource: "xmppjs",
  // Called by SASL2 where that is offered, with `fast` if the server knows tokens.
  credentials: async (authenticate, mechanisms, fast) => {
    const token = await fast?.fetch();
    mechanism = token?.mechanism ?? mechanisms[0];
    const known = { username, password: process.env.INTEROP_PASSWORD, token };
    await authenticate(known, mechanisms[0], userAgent);
  },
});
const { saveToken, deleteToken } = xmpp.fast;
xmpp.fast.saveToken = async (token) => {
  await saveToken(token);
  emit("token");
};
// Called when a login is refused a token, and before the first: the password is used then.
xmpp.fast.deleteToken = async () => {
  await deleteToken();
  if (mechanism.startsWith("HT-")) mechanism = "a password, for its token was refused";
};
// A check logs in by hand.
xmpp.reconnect.stop();

// 0.14.0 counts a stanza that it sends when its write has come back. An <a/> that is there before,
// as from a server that acknowledges unasked, throws its queue off by one, and at a resumption it
// sends again what was acknowledged: here a stanza counts first.
const announce = (elements) =>
  elements.forEach((element) => {
    element.parent = xmpp.root;
    xmpp.emit("send", element);
  });
// Over WebSocket it counts several in time by itself.
if (!service.startsWith("ws")) {
  xmpp.send = async (element) => {
    announce([element]);
    await xmpp.write(element.toString());
  };
  xmpp.sendMany = async (elements) => {
    announce(elements);
    await xmpp.write(elements.map(String).join(""));
  };
}

// 0.14.0 does not count the IQ stanzas that its own IQ handlers take, so its <a h/> is too low
// and a server must keep, and send again, what the client has in truth handled (XEP-0198 section 4).
let handled = 0;
xmpp.on("stanza", () => (handled += 1));
Object.defineProperty(xmpp.streamManagement, "inbound", {
  get: () => handled,
  set: (count) => {
    if (count === 0) handled = 0;
  },
});

const ping = () => xmpp.iqCaller.get(xml("ping", { xmlns: "urn:xmpp:ping" }), domain);

function printRoster(query) {
  for (const { attrs } of query.getChildren("item")) emit("roster", attrs.jid, attrs.subscription);
}

// The library knows nothing of rooms: this is what a program on top of it would do.
function onOccupant(presence, user) {
  const { from, type } = presence.attrs;
  const codes = user.getChildren("status").map(({ attrs }) => attrs.code);
  if (type === "unavailable") {
    const nick = user.getChild("item").attrs.nick;
    if (codes.includes("303")) emit("renamed", bare(from), nickOf(from), nick);
    else emit("gone", bare(from), nickOf(from), codes.join(" "));
  }
}

function onGroupchat(message) {
  const room = bare(message.attrs.from);
  const body = message.getChildText("body");
  const subject = message.getChildText("subject");
  if (body) {
    const kept = message.getChildren("stanza-id").filter(({ attrs }) => attrs.by === room);
    emit("said", room, nickOf(message.attrs.from), ...kept.map(({ attrs }) => attrs.id), body);
  } else if (subject !== null) {
    emit("subject", room, nickOf(message.attrs.from), subject);
    // It is the last of what one is told who enters.
    if (entering.delete(room)) emit("entered", room);
  }
}

const entering = new Set();

function onPresence(presence) {
  const { attrs } = presence;
  const user = presence.getChild("x", `${MUC}#user`);
  if (user) return onOccupant(presence, user);
  const kinds = { subscribe: "request", unavailable: "unavailable" };
  const kind = attrs.type === undefined ? "available" : kinds[attrs.type];
  if (kind) emit(kind, attrs.from);
}

function onMessage(message) {
  if (message.attrs.type === "groupchat") return onGroupchat(message);
  if (message.getChild("x", `${MUC}#user`)?.getChild("invite")) return emit("invited", bare(message.attrs.from));
  const direct = message.getChild("x", "jabber:x:conference");
  if (direct) return emit("invited", direct.attrs.jid);
  const body = message.getChildText("body");
  if (!body || !["chat", "normal", undefined].includes(message.attrs.type)) return;
  const delayed = message.getChild("delay", "urn:xmpp:delay") ? 1 : 0;
  emit("message", message.attrs.from, delayed, body);
}

xmpp.iqCallee.set(ROSTER, "query", ({ element }) => {
  printRoster(element);
  return true;
});

xmpp.on("stanza", (stanza) => {
  if (stanza.is("presence")) onPresence(stanza);
  if (stanza.is("message")) onMessage(stanza);
});
// The library has answered, or is about to.
xmpp.on("nonza", (nonza) => nonza.is("r") && emit("shown"));
xmpp.on("error", (error) => emit("error", error.message));
// The connection broke, and the stream can be resumed; a client that leaves is offline a moment later.
xmpp.on("disconnect", () => !isLeaving && emit("offline"));
xmpp.on("offline", () => emit("offline"));
xmpp.on("online", async (address) => {
  printRoster(await xmpp.iqCaller.get(xml("query", { xmlns: ROSTER })));
  await xmpp.send(xml("presence"));
  await ping();
  emit("online", address, mechanism);
  if (xmpp.streamManagement.id) emit("sm");
});
xmpp.streamManagement.on("resumed", () => emit("resumed", mechanism));

let isLeaving = false;

const commands = {
  login: () => (xmpp.status === "disconnect" ? xmpp.reconnect.reconnect() : xmpp.start()),
  logout: async () => {
    isLeaving = true;
    await xmpp.stop();
    isLeaving = false;
  },
  approve: (jid) => xmpp.send(xml("presence", { to: jid, type: "subscribed" })),
  send: async (jid, body) => {
    const message = xml("message", { to: jid, type: "chat" }, xml("body", {}, body));
    // If the connection breaks before it is written, the library sends it again when the stream is resumed.
    xmpp.send(message).catch((error) => emit("error", error.message));
    await setImmediate();
    emit("passed");
  },
  enter: (room, nick) => {
    entering.add(room);
    return xmpp.send(xml("presence", { to: `${room}/${nick}` }, xml("x", { xmlns: MUC })));
  },
  say: async (room, body) => {
    const message = xml("message", { to: room, type: "groupchat" }, xml("body", {}, body));
    xmpp.send(message).catch((error) => emit("error", error.message));
    await setImmediate();
    emit("passed");
  },
  ping: async () => {
    await ping();
    emit("pong");
  },
  add: async (jid) => {
    await xmpp.iqCaller.set(xml("query", { xmlns: ROSTER }, xml("item", { jid })));
    await xmpp.send(xml("presence", { to: jid, type: "subscribe" }));
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [command, ...fields] = line.split("\t");
  try {
    await commands[command](...fields);
  } catch (error) {
    emit("error", error.message);
  }
}
await xmpp.stop();
process.exit(0);
