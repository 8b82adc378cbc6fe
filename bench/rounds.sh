#!/usr/bin/env bash
# Puts brokers side by side: starts each in turn, runs bin/mqttbench against it, ROUNDS times over,
# and prints each run and the medians. Arguments go to mqttbench.
#
#   make build && ROUNDS=5 bench/rounds.sh -window 100
#
# mosquitto is measured when it is installed, with its best known QoS 0 settings.
set -euo pipefail
cd "$(dirname "$0")/.."
for argument in "$@"; do
	case $argument in -json* | --json*) echo "rounds.sh prints a table of its own: leave -json out" >&2; exit 2 ;; esac
done
rounds=${ROUNDS:-5}
port=18841
results=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$results"' EXIT
trap 'exit 143' TERM

cat > "$results/mosquitto.conf" <<END
listener $port 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
max_queued_messages 0
log_type none
END
brokers=("mqttd, 1 loop|bin/mqttd -host 127.0.0.1 -port $port -loops 1 -log-level error"
	"mqttd, 2 loops|bin/mqttd -host 127.0.0.1 -port $port -loops 2 -log-level error")
if command -v mosquitto >/dev/null; then
	brokers+=("mosquitto $({ mosquitto -h || true; } | awk 'NR == 1 { print $3 }')|mosquitto -c $results/mosquitto.conf")
fi

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

for ((round = 1; round <= rounds; round++)); do
	for broker in "${brokers[@]}"; do
		${broker#*|} &
		pid=$!
		for ((try = 0; try < 100; try++)); do
			listening && break
			kill -0 $pid 2>/dev/null || { echo "${broker%%|*} did not start" >&2; exit 1; }
			sleep 0.05
		done
		bin/mqttbench -port $port -pid $pid -q "$@" >"$results/table" || status=$?
		kill $pid
		stopped=0
		wait $pid || stopped=$?
		pid=
		((${status:-0} == 0)) || exit "$status"
		((stopped == 0)) || { echo "${broker%%|*} ended with exit code $stopped" >&2; exit 1; }
		awk -v name="${broker%%|*}" -v OFS='|' '
			{ gsub(",", "", $2) }
			$1 == "deliveries" { rate = $2 }
			$1 == "p99" { p99 = $2 }
			/CPU per million/ && cpu == "" { cpu = $5 }
			/resident memory/ { memory = $3 }
			$1 == "lost" { lost = $2; gsub(",", "", lost) }
			END { print name, rate, cpu, p99, memory, lost }' "$results/table" | tee -a "$results/all"
	done
done

median() { cut -d'|' -f"$2" <<<"$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
printf '%-18s %16s %20s %10s %12s %8s\n' "medians of $rounds" "deliveries/s" "CPU s per million" "p99 ms" "memory MiB" "lost"
for broker in "${brokers[@]}"; do
	rows=$(grep -F "${broker%%|*}|" "$results/all")
	printf '%-18s %16s %20s %10s %12s %8s\n' "${broker%%|*}" "$(median "$rows" 2)" "$(median "$rows" 3)" \
		"$(median "$rows" 4)" "$(median "$rows" 5)" "$(cut -d'|' -f6 <<<"$rows" | awk '{ n += $1 } END { print n }')"
done
