#!/bin/sh
# Apache Kafka for tests and examples: its jars into ~/.cache/streamflow/kafka-VERSION, each checked.
# Wants Java 17 or later to run it, and Maven to get it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/.*<version>\(.*\)<.*/\1/p' "$here/kafka.xml" | head -1)
home=${KAFKA_JARS:-${XDG_CACHE_HOME:-$HOME/.cache}/streamflow/kafka-$version}

whole() { (cd "$1" && sha256sum --check --quiet "$here/kafka.sha256"); }

if whole "$home" 2>/dev/null; then exit 0; fi
for program in java mvn; do
    if ! command -v $program >/dev/null; then
        echo "Kafka wants $program, which is not installed" >&2
        exit 1
    fi
done
echo "getting Kafka $version"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
mvn --batch-mode --quiet --strict-checksums --file "$here/kafka.xml" \
    dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$fresh/jars"
whole "$fresh/jars"
mkdir -p "$(dirname "$home")"
rm -rf "$home"
mv "$fresh/jars" "$home"
