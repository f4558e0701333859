/* libstrophe behind the line protocol of clients/line_client.py.
 *
 * environment: INTEROP_JID, INTEROP_PASSWORD, INTEROP_HOST, INTEROP_PORT, INTEROP_CA
 * build: cc strophe_peer.c -o strophe_peer $(pkg-config --cflags --libs libstrophe)
 */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <unistd.h>

#define ROSTER "jabber:iq:roster"
#define TICK_MS 10
#define LINE_MAX_BYTES 4096

static xmpp_ctx_t *ctx;
static xmpp_conn_t *conn;
static char mechanism[64];
static unsigned next_id;

static void send_and_release(xmpp_stanza_t *stanza)
{
    xmpp_send(conn, stanza);
    xmpp_stanza_release(stanza);
}

/* The library tells the mechanism only in its debug log. */
static void on_log(void *userdata, xmpp_log_level_t level, const char *area, const char *text)
{
    const char *attribute = strstr(text, "mechanism=\"");
    (void)userdata;
    (void)level;
    if (strstr(text, "SENT: <auth") && attribute)
        sscanf(attribute, "mechanism=\"%63[^\"]", mechanism);
    fprintf(stderr, "%s %s\n", area, text);
    /* The library counts for itself what arrives, and tells nobody when it tells the server. */
    if (!strncmp(text, "SENT: <a ", 9))
        puts("shown");
}

static int on_message(xmpp_conn_t *c, xmpp_stanza_t *stanza, void *userdata)
{
    const char *type = xmpp_stanza_get_type(stanza);
    char *body = xmpp_message_get_body(stanza);
    (void)c;
    (void)userdata;
    if (body && (!type || !strcmp(type, "chat") || !strcmp(type, "normal")))
        printf("message\t%s\t%d\t%s\n", xmpp_stanza_get_from(stanza),
               xmpp_stanza_get_child_by_name_and_ns(stanza, "delay", "urn:xmpp:delay") != NULL, body);
    if (body)
        xmpp_free(ctx, body);
    return 1;
}

static int on_presence(xmpp_conn_t *c, xmpp_stanza_t *stanza, void *userdata)
{
    const char *type = xmpp_stanza_get_type(stanza);
    const char *from = xmpp_stanza_get_from(stanza);
    (void)c;
    (void)userdata;
    if (!type)
        printf("available\t%s\n", from);
    else if (!strcmp(type, "unavailable"))
        printf("unavailable\t%s\n", from);
    else if (!strcmp(type, "subscribe"))
        printf("request\t%s\n", from);
    return 1;
}

static void print_roster(xmpp_stanza_t *iq)
{
    xmpp_stanza_t *query = xmpp_stanza_get_child_by_ns(iq, ROSTER);
    xmpp_stanza_t *item = query ? xmpp_stanza_get_children(query) : NULL;
    for (; item; item = xmpp_stanza_get_next(item))
        printf("roster\t%s\t%s\n", xmpp_stanza_get_attribute(item, "jid"),
               xmpp_stanza_get_attribute(item, "subscription"));
}

static int on_roster_push(xmpp_conn_t *c, xmpp_stanza_t *iq, void *userdata)
{
    xmpp_stanza_t *result = xmpp_iq_new(ctx, "result", xmpp_stanza_get_id(iq));
    (void)c;
    (void)userdata;
    print_roster(iq);
    send_and_release(result);
    return 1;
}

/* The library leaves it to the program to answer (RFC 6120 section 8.2.3). */
static int on_ping(xmpp_conn_t *c, xmpp_stanza_t *iq, void *userdata)
{
    xmpp_stanza_t *result = xmpp_stanza_reply(iq);
    (void)c;
    (void)userdata;
    xmpp_stanza_set_type(result, "result");
    send_and_release(result);
    return 1;
}

/* A new IQ with a child element in the namespace; the caller sends it. */
static xmpp_stanza_t *new_iq(const char *type, const char *id, const char *child, const char *ns)
{
    xmpp_stanza_t *iq = xmpp_iq_new(ctx, type, id);
    xmpp_stanza_t *element = xmpp_stanza_new(ctx);
    xmpp_stanza_set_name(element, child);
    xmpp_stanza_set_ns(element, ns);
    xmpp_stanza_add_child(iq, element);
    xmpp_stanza_release(element);
    return iq;
}

static void ping(xmpp_handler answer)
{
    char id[32];
    snprintf(id, sizeof id, "ping%u", next_id++);
    xmpp_id_handler_add(conn, answer, id, NULL);
    send_and_release(new_iq("get", id, "ping", "urn:xmpp:ping"));
}

static int on_pong(xmpp_conn_t *c, xmpp_stanza_t *iq, void *userdata)
{
    (void)c;
    (void)iq;
    (void)userdata;
    puts("pong");
    return 0;
}

static int on_first_pong(xmpp_conn_t *c, xmpp_stanza_t *iq, void *userdata)
{
    (void)iq;
    (void)userdata;
    printf("online\t%s\t%s\n", xmpp_conn_get_bound_jid(c), mechanism);
    return 0;
}

static int on_roster(xmpp_conn_t *c, xmpp_stanza_t *iq, void *userdata)
{
    (void)c;
    (void)userdata;
    print_roster(iq);
    send_and_release(xmpp_presence_new(ctx));
    ping(on_first_pong);
    return 0;
}

static void on_connection(xmpp_conn_t *c, xmpp_conn_event_t event, int error,
                          xmpp_stream_error_t *stream_error, void *userdata)
{
    (void)userdata;
    if (event != XMPP_CONN_CONNECT) {
        if (error || stream_error)
            printf("error\tdisconnected, error %d\n", error);
        puts("offline");
        return;
    }
    if (!xmpp_conn_is_secured(c)) {
        puts("error\tthe connection is not encrypted");
        return;
    }
    xmpp_handler_add(c, on_message, NULL, "message", NULL, NULL);
    xmpp_handler_add(c, on_presence, NULL, "presence", NULL, NULL);
    xmpp_handler_add(c, on_roster_push, ROSTER, "iq", "set", NULL);
    xmpp_handler_add(c, on_ping, "urn:xmpp:ping", "iq", "get", NULL);
    xmpp_id_handler_add(c, on_roster, "roster", NULL);
    send_and_release(new_iq("get", "roster", "query", ROSTER));
}

static void login(void)
{
    char jid[256];
    snprintf(jid, sizeof jid, "%s/strophe", getenv("INTEROP_JID"));
    if (conn)
        xmpp_conn_release(conn);
    conn = xmpp_conn_new(ctx);
    xmpp_conn_set_jid(conn, jid);
    xmpp_conn_set_pass(conn, getenv("INTEROP_PASSWORD"));
    xmpp_conn_set_cafile(conn, getenv("INTEROP_CA"));
    xmpp_conn_set_flags(conn, XMPP_CONN_FLAG_MANDATORY_TLS);
    if (xmpp_connect_client(conn, getenv("INTEROP_HOST"), (unsigned short)atoi(getenv("INTEROP_PORT")),
                            on_connection, NULL) != XMPP_EOK)
        puts("error\tcannot connect");
}

static void send_presence(const char *to, const char *type)
{
    xmpp_stanza_t *presence = xmpp_presence_new(ctx);
    xmpp_stanza_set_to(presence, to);
    xmpp_stanza_set_type(presence, type);
    send_and_release(presence);
}

static void add(const char *jid)
{
    char id[32];
    xmpp_stanza_t *item = xmpp_stanza_new(ctx);
    xmpp_stanza_t *iq;
    snprintf(id, sizeof id, "add%u", next_id++);
    iq = new_iq("set", id, "query", ROSTER);
    xmpp_stanza_set_name(item, "item");
    xmpp_stanza_set_attribute(item, "jid", jid);
    xmpp_stanza_add_child(xmpp_stanza_get_child_by_ns(iq, ROSTER), item);
    xmpp_stanza_release(item);
    send_and_release(iq);
    send_presence(jid, "subscribe");
}

static void send_message(const char *to, const char *body)
{
    char id[32];
    xmpp_stanza_t *message;
    snprintf(id, sizeof id, "message%u", next_id++);
    message = xmpp_message_new(ctx, "chat", to, id);
    xmpp_message_set_body(message, body);
    send_and_release(message);
}

static void obey(char *line)
{
    char *command = strsep(&line, "\t");
    char *jid = strsep(&line, "\t");
    if (!strcmp(command, "login"))
        login();
    else if (!strcmp(command, "logout"))
        xmpp_disconnect(conn);
    else if (!strcmp(command, "ping"))
        ping(on_pong);
    else if (!strcmp(command, "add") && jid)
        add(jid);
    else if (!strcmp(command, "approve") && jid)
        send_presence(jid, "subscribed");
    else if (!strcmp(command, "send") && jid && line) {
        send_message(jid, line);
        puts("passed");
    }
}

/* Reads what has arrived on standard input and obeys whole lines; 0 at its end. */
static int read_commands(void)
{
    static char buffer[LINE_MAX_BYTES];
    static size_t filled;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char *end;
    ssize_t count;
    if (poll(&input, 1, 0) <= 0)
        return 1;
    count = read(STDIN_FILENO, buffer + filled, sizeof buffer - filled);
    if (count <= 0)
        return 0;
    filled += (size_t)count;
    while ((end = memchr(buffer, '\n', filled))) {
        size_t length = (size_t)(end - buffer) + 1;
        *end = '\0';
        obey(buffer);
        filled -= length;
        memmove(buffer, buffer + length, filled);
    }
    return 1;
}

int main(void)
{
    xmpp_log_t log = {.handler = on_log, .userdata = NULL};
    setvbuf(stdout, NULL, _IOLBF, 0);
    xmpp_initialize();
    ctx = xmpp_ctx_new(NULL, &log);
    while (read_commands())
        xmpp_run_once(ctx, TICK_MS);
    if (conn)
        xmpp_conn_release(conn);
    xmpp_ctx_free(ctx);
    xmpp_shutdown();
    return 0;
}
