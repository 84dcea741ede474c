"""Asks the real SDK for flags a fixed number of times, and prints as its last line what a correct server must have counted.

Every answer is compared with the variation written here, so the truth does not come from the SDK that is being counted.
"""

import json
import os
import pathlib
import sys

from ldclient import Config, Context, LDClient
from ldclient.config import HTTPConfig
from ldclient.integrations import Files
from ldclient.migrations import Stage

URL = os.environ.get("FLAGSTREAM_URL", "http://127.0.0.1:8080")
FLAGS = pathlib.Path(__file__).resolve().parent.parent / "flags.json"
DEFAULT = "default"

truth = {"sdk": "launchdarkly-server-sdk", "flags": {}, "custom": {}, "identify": 0, "notes": []}


def row(key):
    """One flag's row of the truth."""
    return truth["flags"].setdefault(key, {"total": 0, "by_variation": {}})


def served(key, variation, times=1):
    counts = row(key)
    counts["total"] += times
    by_variation = counts["by_variation"]
    by_variation[str(variation)] = by_variation.get(str(variation), 0) + times


def ask(client, key, context, fallback, variation, times):
    """Asks for `key` `times` times; `variation` is the index that must be served, or DEFAULT."""
    for _ in range(times):
        detail = client.variation_detail(key, context, fallback)
        got = DEFAULT if detail.variation_index is None else detail.variation_index
        if got != variation:
            sys.exit(f"{key}: served {got}, expected {variation}: {detail.value!r}, {detail.reason!r}")
    served(key, variation, times)


def track(client, key, context, data=None, value=None):
    """Reports a custom event, with a metric value or without."""
    client.track(key, context, data, value)
    event = truth["custom"].setdefault(key, {"count": 0, "metric_count": 0, "metric_sum": 0})
    event["count"] += 1
    if value is not None:
        event["metric_count"] += 1
        event["metric_sum"] += value


def main():
    client = LDClient(Config(
        os.environ["FLAGSTREAM_SDK_KEY"],
        events_uri=URL,
        base_uri=URL,  # never asked: the flags come from the file beside this folder
        stream_uri=URL,
        update_processor_class=Files.new_data_source(paths=[str(FLAGS)]),
        enable_event_compression=os.environ.get("FLAGSTREAM_GZIP") == "1",
        flush_interval=3600,  # seconds: only the flushes below send
        application={"id": "sdk-program", "version": "1.0.0"},
        http=HTTPConfig(read_timeout=15),
    ), start_wait=10)
    if not client.is_initialized():
        sys.exit("the SDK did not read its flags")

    paul = Context.builder("paul").set("country", "FR").set("email", "paul@example.com").private("email").build()
    rosa = Context.builder("rosa").set("country", "PL").build()
    guest = Context.builder("guest-1").anonymous(True).build()
    device = Context.create("device-ü", "device")
    sam = Context.builder("sam").set("country", "FR").build()
    pair = Context.create_multi(sam, Context.create("org-7", "organization"))

    ask(client, "new-checkout", paul, False, 1, 7)
    ask(client, "new-checkout", rosa, False, 0, 4)
    ask(client, "new-checkout", device, False, 0, 2)
    ask(client, "banner-text", pair, "none", 1, 3)
    ask(client, "banner-text", guest, "none", 0, 5)
    for _ in range(2):  # a string flag asked for a migration stage: the one call of this SDK that looks at the type
        stage, _tracker = client.migration_variation("banner-text", rosa, Stage.OFF)
        if stage != Stage.OFF:
            sys.exit(f"banner-text: served stage {stage}, expected the default")
    served("banner-text", 0, 2)  # the caller gets the default, but this SDK reports what the flag said
    ask(client, "page-size", rosa, 10, 1, 6)
    ask(client, "grid", guest, {}, 1, 2)
    ask(client, "tracked", paul, "", 1, 3)
    row("tracked")["feature_events"] = 3
    track(client, "purchase", paul, {"currency": "EUR"}, 19.99)
    track(client, "purchase", rosa, None, 0.01)
    track(client, "purchase", pair, None, -5)
    client.flush()

    ask(client, "new-checkout", pair, False, 1, 1)
    ask(client, "switched-off", paul, True, 1, 2)
    ask(client, "off-and-empty", paul, True, DEFAULT, 3)
    ask(client, "no-such-flag", rosa, "one", DEFAULT, 3)
    ask(client, "no-such-flag", guest, "two", DEFAULT, 1)
    ask(client, "debugged", rosa, "", 1, 2)
    row("debugged")["debug_events"] = 2
    ask(client, "unsummarized", rosa, 0, 0, 4)
    row("unsummarized").update(excluded_from_summaries=4, feature_events=4)
    ask(client, "button-test", paul, "", 1, 2)
    ask(client, "button-test", rosa, "", 0, 1)
    ask(client, "button-test", guest, "", 1, 2)
    row("button-test").update(feature_events=5, in_experiment=5)
    ask(client, "needs-base", rosa, "", 0, 2)
    served("base", 1, 2)  # the prerequisite counts as asked for, too
    ask(client, "odd.key:with/all of%it", rosa, False, 0, 1)
    track(client, "clicked", guest)
    track(client, "page-load", device, None, 0)
    for context in (paul, guest):
        client.identify(context)
        truth["identify"] += 1
    client.flush()
    client.close()
    print(json.dumps(truth))


if __name__ == "__main__":
    main()
