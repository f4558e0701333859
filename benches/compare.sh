#!/usr/bin/env bash
# Compares Waxwing with the raw relay, ejabberd and Prosody on this machine and writes RESULTS.md.
#
#   benches/compare.sh [--rounds N] [--seconds S] [--sessions N] [--out FILE]
#
# Each scenario starts its server anew, one server at a time, pinned to one core, the generator to
# another.
# Missing peers are installed from Debian (as root). Everything that was started is stopped by its
# process id, also on an interrupt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
rounds=2 seconds=4 sessions=5000 out="$here/RESULTS.md"
command="benches/compare.sh $*"
while (($#)); do
    case $1 in
        --rounds) rounds=$2 ;;
        --seconds) seconds=$2 ;;
        --sessions) sessions=$2 ;;
        --out) out=$2 ;;
        *) echo "usage: compare.sh [--rounds N] [--seconds S] [--sessions N] [--out FILE]" >&2; exit 2 ;;
    esac
    shift 2
done
release=${RELEASE:-$here/../target/release}
waxwing=$release/waxwing
load=$release/waxwing-load
server_core=1 client_core=0
ulimit -n "$(ulimit -Hn)"

work=$(mktemp -d)
mkdir "$work/results"
pid=
stop() {
    if [[ $pid ]]; then
        kill "$pid" 2>/dev/null || true
        for _ in {1..100}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        pid=
    fi
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Installs Debian packages without starting their services.
install() {
    local policy=/usr/sbin/policy-rc.d made=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made=yes
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
    [[ -z $made ]] || rm "$policy"
}
command -v prosody >/dev/null || install prosody
command -v ejabberdctl >/dev/null || install ejabberd
libraries=$(dirname "$(ls -d /usr/lib/*/ejabberd-* | head -1)")

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free_port() {
    local port
    while port=$((20000 + RANDOM % 10000)); answers "$port"; do :; done
    echo "$port"
}

# Starts a server with its configuration filled in; sets pid, c2s, tls and anonymous.
start() {
    local name=$1 dir=$work/$1
    rm -rf "$dir"
    mkdir -p "$dir/data" "$dir/log"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost,DNS:anon.localhost \
        -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
    cat "$dir/cert.pem" "$dir/key.pem" >"$dir/both.pem"
    c2s=$(free_port) tls=$(free_port) anonymous=anon.localhost
    for template in "$here/peers/$name".*; do
        [[ -e $template ]] && sed "s|@DIR@|$dir|g; s|@C2S@|$c2s|g; s|@TLS@|$tls|g" "$template" \
            >"$dir/$(basename "$template")"
    done
    case $name in
        raw) exec_pinned "$load" raw-relay --listen "127.0.0.1:$c2s" ;;
        waxwing) anonymous=localhost
            exec_pinned "$waxwing" --config "$dir/waxwing.toml" serve ;;
        prosody) exec_pinned prosody --config "$dir/prosody.cfg.lua" -F ;;
        # Without a node name: no epmd. Without busy waiting, which would count as work.
        ejabberd) ERL_LIBS=$libraries EJABBERD_CONFIG_PATH=$dir/ejabberd.yml \
            EJABBERD_LOG_PATH=$dir/log/ejabberd.log exec_pinned erl -noinput +K true +P 2000000 \
            +sbwt none +sbwtdcpu none +sbwtdio none -mnesia dir "\"$dir/data\"" -s ejabberd ;;
    esac
    for _ in {1..300}; do
        answers "$c2s" && return
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "$name did not start:" >&2
    tail -20 "$dir/out" >&2
    exit 1
}
exec_pinned() {
    taskset -c $server_core "$@" >"$work/$name/out" 2>&1 </dev/null &
    pid=$!
}

# One scenario against a server that is started for it, so that nothing of another's is left:
# run NAME WHERE ARGUMENTS…. A fault of the server is recorded, not fatal.
run() {
    local name=$1 where=$2
    shift 2
    echo "round $round: $server: $name" >&2
    start $server
    case $where in
        raw) where=(--server "127.0.0.1:$c2s" --raw) ;;
        plain) where=(--server "127.0.0.1:$c2s" --domain "$anonymous") ;;
        tls) where=(--server "127.0.0.1:$tls" --tls direct --domain "$anonymous") ;;
        accounts) where=(--server "127.0.0.1:$c2s" --auth scram-sha-1 --register) ;;
        accounts-tls)
            where=(--server "127.0.0.1:$tls" --tls direct --auth scram-sha-1 --register) ;;
    esac
    timeout 180 taskset -c $client_core "$load" "$@" "${where[@]}" --pid "$pid" \
        --label "$server" --quiet --json "$work/results/$round.$name.$server.json" >"$work/last" ||
        { echo "round $round: $server: $name:" >&2; cat "$work/last" >&2; }
    stop
}

for round in $(seq "$rounds"); do
    for server in raw waxwing ejabberd prosody; do
        if [[ $server == raw ]]; then
            run relay-1 raw relay --seconds "$seconds"
            run relay-8 raw relay --window 8 --seconds "$seconds"
            run latency raw latency --seconds "$seconds"
            continue
        fi
        run relay-1 plain relay --seconds "$seconds"
        run relay-8 plain relay --window 8 --seconds "$seconds"
        run relay-tls tls relay --seconds "$seconds"
        run latency plain latency --seconds "$seconds"
        run login accounts-tls login --seconds "$seconds"
        run offline accounts offline --messages 60
        run fsyncs accounts offline --messages 10 --fsyncs
        run presence accounts presence --seconds "$seconds"
        run idle plain idle --sessions "$sessions"
        run idle-tls tls idle --sessions "$sessions"
    done
done

{
    echo "# Waxwing beside its peers"
    echo
    echo "- Date: $(date -u +%Y-%m-%d)"
    echo "- Command: \`$command\`: rounds: $rounds, seconds: $seconds, sessions: $sessions"
    echo "- Machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r); load average at the end $(cut -d' ' -f1-3 /proc/loadavg)"
    echo "- Versions: $("$waxwing" --version); ejabberd $(dpkg-query -W -f '${Version}' ejabberd); Prosody $(dpkg-query -W -f '${Version}' prosody)"
    echo
    "$load" summary "$work/results"
} >"$work/report"
mv "$work/report" "$out"
cat "$out"
