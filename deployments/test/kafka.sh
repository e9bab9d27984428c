#!/usr/bin/env bash
# Runs a command against an Apache Kafka of its own:
#
#	deployments/test/kafka.sh go test ./workers/relay
#
# The command gets DAYBOOK_TEST_KAFKA_BROKERS, and DAYBOOK_TEST_KAFKA_RESTART, a
# command that ends the broker with SIGKILL and starts it again. The broker is one
# KRaft node on loopback, on free ports, with its log in a temporary directory;
# both are gone at the end. Its jars come from Maven Central once and are kept in
# DAYBOOK_TEST_KAFKA_CACHE (default: ~/.cache/daybook/kafka-test). Where Java,
# Maven or the jars are not to be had, it says so, runs nothing and succeeds.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

flags=(-Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn)

skip() {
	echo "No Apache Kafka: $1. The tests against a real broker are left out."
	exit 0
}

# fetch fills the cache, all or nothing.
fetch() {
	local cache=${DAYBOOK_TEST_KAFKA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/daybook/kafka-test}
	jars=$cache/$(cksum <"$here/pom.xml" | tr ' ' -)
	[ -d "$jars" ] && return
	command -v mvn >/dev/null || skip "there is no mvn to fetch it with"
	mkdir -p "$cache"
	local new
	new=$(mktemp -d "$cache/new.XXXXXX")
	if ! timeout 300 mvn -B -q -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$new" >"$new/mvn.log" 2>&1; then
		tail -n 5 "$new/mvn.log"
		rm -rf "$new"
		skip "Maven could not fetch it"
	fi
	rm "$new/mvn.log"
	mv -T "$new" "$jars" 2>/dev/null || rm -rf "$new" # somebody was faster
}

free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12000)) # below the ports that the system gives out
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

configure() {
	local broker controller
	broker=$(free_port)
	controller=$(free_port)
	echo "$broker" >"$dir/port"
	cat >"$dir/server.properties" <<-EOF
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$controller
		listeners=BROKER://127.0.0.1:$broker,CONTROLLER://127.0.0.1:$controller
		advertised.listeners=BROKER://127.0.0.1:$broker
		listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
		controller.listener.names=CONTROLLER
		inter.broker.listener.name=BROKER
		log.dirs=$dir/log
		auto.create.topics.enable=false
		offsets.topic.replication.factor=1
		offsets.topic.num.partitions=4
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		broker.heartbeat.interval.ms=500
		broker.session.timeout.ms=3000
		group.initial.rebalance.delay.ms=0
	EOF
	java "${flags[@]}" -cp "$jars/*" kafka.tools.StorageTool format -t daybook-test-cluster -c "$dir/server.properties" >"$dir/format.out" 2>&1
}

# start waits for the broker, a minute at most.
start() {
	java "${flags[@]}" -cp "$jars/*" kafka.Kafka "$dir/server.properties" >>"$dir/server.out" 2>&1 &
	echo $! >"$dir/pid"
	disown # its end is not worth a message
	local port
	port=$(<"$dir/port")
	for _ in $(seq 300); do
		if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			return 0
		fi
		kill -0 "$(<"$dir/pid")" 2>/dev/null || break
		sleep 0.2
	done
	tail -n 20 "$dir/server.out" >&2
	return 1
}

stop() {
	kill -9 "$(<"$dir/pid")" 2>/dev/null || true
	while kill -0 "$(<"$dir/pid")" 2>/dev/null; do sleep 0.05; done
}

command -v java >/dev/null || skip "there is no java to run it with"
if [ "${1:-}" = --restart ]; then
	dir=$2 jars=$(<"$2/jars")
	stop
	start
	exit
fi
fetch
dir=$(mktemp -d)
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
echo "$jars" >"$dir/jars"
configure || { cat "$dir/format.out"; skip "its storage could not be formatted"; }
start || skip "it does not start"
export DAYBOOK_TEST_KAFKA_BROKERS="127.0.0.1:$(<"$dir/port")"
export DAYBOOK_TEST_KAFKA_RESTART="$here/kafka.sh --restart $dir"
"$@"
