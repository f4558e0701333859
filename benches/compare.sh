#!/usr/bin/env bash
# Compares Waxwing with the raw relay, ejabberd and Prosody on this machine and writes RESULTS.md.
#
#   benches/compare.sh [--rounds N] [--seconds S] [--sessions N] [--out FILE]
#                      [--only SCENARIO,…] [--servers SERVER,…]
#
# Each scenario starts its server anew, one server at a time, pinned to one core, the generator to
# another. A round whose raw relay costs something else than in the rounds before is repeated: the
# machine was busy with something else. With --only or --servers, which are for a quick look, the
# result is written only where --out says.
# Missing peers are installed from Debian (as root). Everything that was started is stopped by its
# process id, also on an interrupt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
command="benches/compare.sh $*"
rounds=2 seconds=4 sessions=5000 out= only= servers=
usage() {
    echo "compare.sh: ${1:-}" >&2
    sed -n '4,5s/^#  //p' "$0" >&2
    exit 2
}
while (($#)); do
    case $1 in
        --rounds | --seconds | --sessions | --out | --only | --servers)
            (($# > 1)) || usage "$1 needs a value"
            declare "${1#--}=$2" ;;
        *) usage "unknown: $1" ;;
    esac
    shift 2
done
[[ $out || $only || $servers ]] || out=$here/RESULTS.md

# The scenarios: the name, the servers that have it, how to reach them, and what to run.
all=raw,waxwing,ejabberd,prosody xmpp=waxwing,ejabberd,prosody
mapfile -t scenarios <<END
relay-1     $all    plain         relay --seconds $seconds
relay-8     $all    plain         relay --window 8 --seconds $seconds
relay-2000  $all    plain         relay --pairs 2000 --seconds $seconds
relay-tls   $xmpp   tls           relay --seconds $seconds
relay-sm    $xmpp   accounts      relay --sm --seconds $seconds
latency     $all    plain         latency --seconds $seconds
login       $xmpp   accounts-tls  login --seconds $seconds
presence    $xmpp   accounts      presence --seconds $seconds
muc-30      $xmpp   accounts      muc --occupants 30 --seconds $seconds
muc-100     $xmpp   accounts      muc --occupants 100 --seconds $seconds
muc-256     $xmpp   accounts      muc --occupants 256 --seconds $seconds
muc-256-16  $xmpp   accounts      muc --occupants 256 --on-the-way 16 --seconds $seconds
offline     $xmpp   accounts      offline --senders 16 --window 8 --seconds $seconds
offline-1   $xmpp   accounts      offline --seconds $seconds
fsyncs      $xmpp   accounts      offline --messages 10 --fsyncs
idle        $xmpp   plain         idle --sessions $sessions
idle-tls    $xmpp   tls           idle --sessions $sessions
END
# Whether a list with commas has an item; an empty list has all.
has() { [[ -z $1 || ,$1, == *,$2,* ]]; }
names=$(printf '%s\n' "${scenarios[@]%% *}")
for name in ${only//,/ }; do
    grep -qx -- "$name" <<<"$names" || usage "no such scenario: $name"
done
for server in ${servers//,/ }; do has $all "$server" || usage "no such server: $server"; done
# What Waxwing does not have yet.
not_yet=
for scenario in "${scenarios[@]}"; do
    read -r name having _ <<<"$scenario"
    has "$having" waxwing || not_yet+=${not_yet:+,}$name
done

release=${RELEASE:-$here/../target/release}
waxwing=$release/waxwing
load=$release/waxwing-load
server_core=1 client_core=0
# How far the raw relay may be off the median of the rounds before, in percent, and how many rounds
# are repeated for it, at most.
tolerance=15 repeats=2
ulimit -n "$(ulimit -Hn)"

work=$(mktemp -d)
mkdir "$work/results"
pid= generator=
# Ends a process: stop_process PID. It is a child of this shell.
stop_process() {
    kill "$1" 2>/dev/null || true
    for _ in {1..100}; do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
stop() {
    [[ -z $generator ]] || stop_process "$generator"
    [[ -z $pid ]] || stop_process "$pid"
    pid= generator=
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
    local name=$1 where=$2 json=$work/results/$round.$1.$server.json status=0
    shift 2
    echo "round $round: $server: $name" >&2
    start "$server"
    [[ $server != raw ]] || where=raw
    case $where in
        raw) where=(--server "127.0.0.1:$c2s" --raw) ;;
        plain) where=(--server "127.0.0.1:$c2s" --domain "$anonymous") ;;
        tls) where=(--server "127.0.0.1:$tls" --tls direct --domain "$anonymous") ;;
        accounts) where=(--server "127.0.0.1:$c2s" --auth scram-sha-1 --register) ;;
        accounts-tls)
            where=(--server "127.0.0.1:$tls" --tls direct --auth scram-sha-1 --register) ;;
    esac
    # In the background, for a signal to be handled while it runs.
    timeout 180 taskset -c $client_core "$load" "$@" "${where[@]}" --pid "$pid" \
        --label "$server" --quiet --json "$json" >"$work/last" 2>&1 &
    generator=$!
    wait "$generator" || status=$?
    generator=
    if ((status)); then
        echo "round $round: $server: $name: exit code $status" >&2
        cat "$work/last" >&2
        [[ -e $json ]] || echo "{\"faults\": [\"no result, exit code $status\"]}" >"$json"
    fi
    stop
}

# What the raw relay costs in a round.
raw_cost() {
    sed -n 's/^ *"server_us_per_message": \([0-9.]*\),*$/\1/p' "$work/results/$1.relay-1.raw.json"
}
# How far the raw relay of this round is off the median of the rounds before, in whole percent.
off() {
    local before=() earlier
    for ((earlier = 1; earlier < round; earlier++)); do before+=("$(raw_cost $earlier)"); done
    printf '%s\n' "${before[@]}" | sort -g | awk -v now="$(raw_cost "$round")" '
        { value[NR] = $1 }
        END {
            median = (value[int((NR + 1) / 2)] + value[int(NR / 2) + 1]) / 2
            off = median ? (now / median - 1) * 100 : 0
            printf "%d", off < 0 ? -off : off
        }'
}

repeated=()
round=1
while ((round <= rounds)); do
    begin_anew=
    for server in raw waxwing ejabberd prosody; do
        has "$servers" $server || continue
        for scenario in "${scenarios[@]}"; do
            read -r name having where arguments <<<"$scenario"
            has "$only" "$name" && has "$having" $server || continue
            # shellcheck disable=SC2086 # The arguments are words.
            run "$name" "$where" $arguments
            # Nothing else of the round is needed to know that it will not do.
            if [[ $server.$name == raw.relay-1 ]] && ((round > 1 && ${#repeated[@]} < repeats)) &&
                (($(off) > tolerance)); then
                begin_anew=yes
                break 2
            fi
        done
    done
    if [[ $begin_anew ]]; then
        repeated+=("round $round ($(LC_ALL=C printf %.2f "$(raw_cost "$round")") µs, $(off) % off)")
        echo "${repeated[-1]}: begun anew" >&2
        rm "$work/results/$round".*
    else
        ((++round))
    fi
done

{
    echo "# Waxwing beside its peers"
    echo
    echo "- Date: $(date -u +%Y-%m-%d)"
    echo "- Command: \`$command\`: rounds: $rounds, seconds: $seconds, sessions: $sessions"
    echo "- Machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r); load average at the end $(cut -d' ' -f1-3 /proc/loadavg)"
    echo "- Versions: $("$waxwing" --version); ejabberd $(dpkg-query -W -f '${Version}' ejabberd); Prosody $(dpkg-query -W -f '${Version}' prosody)"
    echo "- Rounds that were repeated, for the raw relay was more than $tolerance % off: $(IFS=,; echo "${repeated[*]:-none}")"
    echo
    "$load" summary "$work/results" --not-yet "$not_yet"
} >"$work/report"
cat "$work/report"
[[ -z $out ]] || mv "$work/report" "$out"
