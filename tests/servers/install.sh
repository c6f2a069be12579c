#!/bin/sh
# Installs what tests need beside Python: Debian packages whose command is missing, and Kafka. Quick
# when all are there. Where nothing can be installed the tests that need them skip, and say so.
set -eu

debian() {
    # command:package
    missing=""
    for pair in faketime:faketime mosquitto:mosquitto openssl:openssl \
        java:default-jre-headless mvn:maven; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
    done
    [ -n "$missing" ] || return 0

    if ! command -v apt-get >/dev/null; then
        echo "not installed, for there is no apt-get:$missing; tests that need it will skip"
        return 0
    fi
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root="sudo"
    else
        echo "not installed, for we are not root:$missing; tests that need it will skip"
        return 0
    fi
    echo "installing with apt-get:$missing"
    # shellcheck disable=SC2086
    if ! { $as_root apt-get update -qq && $as_root apt-get install -y -qq $missing >/dev/null; }; then
        echo "could not install:$missing; tests that need it will skip"
    fi
}

debian
sh "$(dirname "$0")/install_kafka.sh" || echo "could not install Kafka; tests that need it will skip"
