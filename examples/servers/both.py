"""Runs Mosquitto and Kafka on this machine, without Docker, until Ctrl-C.

`apt-get install mosquitto` and `sh tests/servers/install_kafka.sh` get them. Then

    python examples/servers/both.py

MQTT is at 127.0.0.1:1883, Kafka at 127.0.0.1:9092 with the topics telemetry and alerts. What they
hold is gone when they end, unless --folder says where to keep it.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from kafka_broker import Broker, Missing
from mosquitto_broker import KEEPS, Mosquitto


def main() -> None:
    """Run both until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Run Mosquitto and Kafka on 127.0.0.1.")
    parser.add_argument("--mqtt", type=int, default=1883, metavar="PORT")
    parser.add_argument("--kafka", type=int, default=9092, metavar="PORT")
    parser.add_argument("--folder", type=Path, help="keep their data here (default: nowhere)")
    options = parser.parse_args()
    with ExitStack() as ended:
        nowhere = ended.enter_context(tempfile.TemporaryDirectory())
        folder = (options.folder or Path(nowhere)).resolve()
        data = folder / "mosquitto"
        data.mkdir(parents=True, exist_ok=True)
        mosquitto = Mosquitto(
            data, settings=(*KEEPS, f"persistence_location {data}/"), port=options.mqtt
        )
        ended.callback(mosquitto.stop)
        mosquitto.start()
        print(f"MQTT is at 127.0.0.1:{mosquitto.port}", flush=True)
        kafka = Broker(folder / "kafka", options.kafka)
        ended.callback(kafka.stop)
        kafka.start().make_topics(["telemetry", "alerts"])
        print(f"Kafka is at {kafka.address}; Ctrl-C ends both", flush=True)
        while True:  # not signal.pause: a signal that comes just before it would be waited for
            time.sleep(1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        pass
    except (Missing, RuntimeError) as error:
        raise SystemExit(str(error)) from None
