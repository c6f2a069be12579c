from __future__ import annotations

import pytest
from streamflow_connectors import mqtt
from streamflow_connectors._mqtt_paho import Packet
from streamflow_connectors._mqtt_topics import Address, Topics

from streamflow import DeadLetter, Messages
from streamflow.errors import Backoff


@pytest.mark.parametrize(
    ("template", "topic", "words"),
    [
        ("plant/{site}/{device}/t", "plant/north/pump-1/t", ("north", "pump-1")),
        ("plant/{site}/{device}/t", "plant/north//t", ("north", None)),
        ("{device}/#", "pump-1", ("pump-1",)),
        ("{device}/#", "pump-1/a/b", ("pump-1",)),
        ("+/{device}/+", "a/pump-1/b", ("pump-1",)),
        ("$share/group/{site}/{device}", "north/pump-1", ("north", "pump-1")),
        ("#", "anything/at/all", ()),
        ("a.b/{device}", "a.b/x\ny", ("x\ny",)),
        ("$SYS/{device}", "$SYS/uptime", ("uptime",)),
    ],
)
def test_words_come_from_where_their_names_stand(
    template: str, topic: str, words: tuple[str, ...]
) -> None:
    assert Topics("source", [template]).words(topic.encode()) == words


@pytest.mark.parametrize("topic", ["plant/a", "plant/a/b/c", "plants/a/b", "a.b", "plant/a/b/"])
def test_a_topic_that_does_not_fit_has_no_words(topic: str) -> None:
    words = Topics("source", ["plant/{site}/{device}"]).words(topic.encode())
    assert words == "its topic is none of this source's"


def test_several_templates_share_their_names() -> None:
    topics = Topics("source", ["a/{device}", "b/{site}/{device}"])
    assert topics.filters == ["a/+", "b/+/+"]
    assert topics.names == ["device", "site"]
    assert topics.words(b"a/pump") == ("pump", None)
    assert topics.words(b"b/north/pump") == ("pump", "north")


def test_a_topic_is_filled_in_with_words_only() -> None:
    address = Address("sink", "alerts/{site}/{device}")
    assert address.of({"device": "a/b+#", "site": None}) == "alerts/_/a_b__"


def test_a_topic_that_is_not_utf_8_is_a_dead_letter_between_messages() -> None:
    reader = mqtt.topic("a/{device}", client="c", port=1).open("0", None)
    for topic in (b"a/pump", b"a/\xff", b"a/fan"):
        reader._inbox.queue.append((0, Packet(topic, b"{}", 1, 1)))
    got = [reader.poll(10) for _ in range(3)]
    assert [type(part) for part in got] == [Messages, DeadLetter, Messages]
    assert isinstance(got[1], DeadLetter)
    assert (got[1].place, got[1].reason) == ("a/\\xff", "its topic is not UTF-8")
    assert reader.position()["received"] == 3
    with pytest.raises(Backoff):
        reader.poll(10)
    reader.close()
