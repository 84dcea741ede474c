"""Reads flag statuses and usage with LaunchDarkly's own API client, whose models refuse what is not of the vendor's shape.

What must be read follows from what was sent here, by hand, to the event service; nothing is expected because we answered it.
"""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone

import launchdarkly_api
from launchdarkly_api.exceptions import NotFoundException

URL = os.environ["FLAGSTREAM_URL"]
SDK_KEYS = {"production": os.environ["FLAGSTREAM_SDK_KEY"], "staging": os.environ["FLAGSTREAM_SDK_KEY_STAGING"]}
PROJECT = "default"
NOW = datetime.now(timezone.utc)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ODD = "odd.key:with/all of%it?#é"
WAIT_SECONDS = 20
CHECKS = []


def check(what, read, expected):
    CHECKS.append(what)
    if read != expected:
        raise SystemExit(f"{what}: read {read!r}, expected {expected!r}")


def ms(moment):
    return int(moment.timestamp() * 1000)


def ask(path, method="GET", body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{method} {path}: {error.code}: {error.read().decode()}") from error


def send(environment, ended, features):
    """One summary: `{flag: (counters, default)}`, a counter being (variation or None, value, count)."""
    def counter(variation, value, count):
        told = {"unknown": True} if variation is None else {"variation": variation}
        return {"value": value, "count": count, **told}

    summary = {"kind": "summary", "startDate": ms(ended - timedelta(seconds=1)), "endDate": ms(ended), "features": {
        flag: {"default": default, "contextKinds": ["user"], "counters": [counter(*one) for one in counters]}
        for flag, (counters, default) in features.items()
    }}
    ask("/bulk", "POST", [summary], {"Authorization": SDK_KEYS[environment], "X-LaunchDarkly-Event-Schema": "4"})


def wait(path, done):
    deadline = time.monotonic() + WAIT_SECONDS
    while not done(answer := ask(path)):
        if time.monotonic() > deadline:
            raise SystemExit(f"{path}: {answer}")
        time.sleep(0.02)


def hour(moment):
    """Sights are kept to the hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def statuses(api, earlier):
    """Each of the vendor's four words, typed times, and callers' own defaults."""
    read = api.get_feature_flag_statuses(PROJECT, "production")
    check("the list names itself", read.links["self"].href, f"/api/v2/flag-statuses/{PROJECT}/production")
    prefix = f"/api/v2/flag-statuses/{PROJECT}/production/"
    by_flag = {urllib.parse.unquote(item.links["self"].href.removeprefix(prefix)): item for item in read.items}
    words = {"two-ways": "active", "one-way": "launched", "just-made": "new", "forgotten": "inactive", ODD: "launched",
             "elsewhere": "new"}
    check("names", {flag: item.name for flag, item in by_flag.items()}, words)
    check("never requested", [flag for flag, item in by_flag.items() if item.last_requested is None],
          sorted(["elsewhere", "forgotten", "just-made"]))
    check("last requested", by_flag["one-way"].last_requested, hour(earlier))
    check("it has a zone", by_flag["one-way"].last_requested.utcoffset(), timedelta(0))
    newest = by_flag["two-ways"].last_requested
    check("the newest within its hour", NOW.replace(minute=0, second=0, microsecond=0) <= newest < NOW + HOUR, True)
    check("a default that was served", by_flag["two-ways"].default, {"colour": "blue", "sizes": [1, 2.5]})
    check("no default told", by_flag["forgotten"].default, None)
    for flag in (ODD, "two-ways"):
        one = api.get_feature_flag_status(PROJECT, "production", flag)
        check(f"{flag} alone", (one.name, one.links["self"].href), (words[flag], prefix + urllib.parse.quote(flag, safe="")))


def across(api, earlier):
    """One flag in all environments, and in those asked for."""
    read = api.get_feature_flag_status_across_environments(PROJECT, "two-ways")
    check("key", read.key, "two-ways")
    told = {name: (one.name, one.last_requested is None) for name, one in read.environments.items()}
    check("environments", told, {"production": ("active", False), "staging": ("launched", False)})
    check("last requested in staging", read.environments["staging"].last_requested, hour(earlier))
    some = api.get_feature_flag_status_across_environments(PROJECT, "two-ways", env="staging")
    check("environments asked for", list(some.environments), ["staging"])
    try:
        api.get_feature_flag_status(PROJECT, "production", "never-heard-of")
    except NotFoundException as error:
        check("an unknown flag is refused with a code", json.loads(error.body)["code"], "not_found")
    else:
        raise SystemExit("an unknown flag was answered")


def column(read, wanted):
    """The whole series of the one entry of the metadata that has these fields, by time, zeros left out."""
    places = [place for place, entry in enumerate(read.metadata) if wanted.items() <= entry.items()]
    check(f"series of {wanted}", len(places), 1)
    return {point["time"]: point[str(places[0])] for point in read.series if point[str(places[0])]}


def usage(api, earlier):
    """Counts by variation in days, hours and minutes, and events by day."""
    def day(moment):
        return ms(moment.replace(hour=0, minute=0, second=0, microsecond=0))

    read = api.get_evaluations_usage(PROJECT, "production", "two-ways")
    check("served 0", column(read, {"key": "two-ways", "variation": 0}), {day(NOW): 5})
    check("served 1", column(read, {"key": "two-ways", "variation": 1}), {day(NOW): 7})
    check("served the default", column(read, {"key": "two-ways", "default": True}), {day(NOW): 2})
    check("a value as it was told", [entry["value"] for entry in read.metadata if entry.get("variation") == 1], ["green"])
    check("30 days of them", len(read.series) in (30, 31), True)
    hourly = api.get_evaluations_usage(PROJECT, "production", "one-way", var_from=str(ms(NOW - 8 * HOUR)))
    hour = ms(earlier.replace(minute=0, second=0, microsecond=0))
    check("by hour", column(hourly, {"variation": 3}), {hour: 40})
    minutely = api.get_evaluations_usage(PROJECT, "production", ODD, var_from=str(ms(NOW - HOUR)), to=str(ms(NOW + HOUR / 30)))
    check("by minute", column(minutely, {"key": ODD, "variation": 0}), {ms(NOW.replace(second=0, microsecond=0)): 1})
    for kind in ("received", "published"):
        read = api.get_events_usage(kind, var_from=str(ms(NOW - 2 * DAY)))
        for environment, events in (("production", 2), ("staging", 1)):
            told = {"key": kind, "project": PROJECT, "environment": environment}
            check(f"events {kind} in {environment}", sum(column(read, told).values()), events)


def main():
    earlier = NOW - 3 * HOUR
    send("production", NOW, {
        "two-ways": ([(0, "red", 5), (1, "green", 7), (None, {"colour": "blue", "sizes": [1, 2.5]}, 2)], {"colour": "blue", "sizes": [1, 2.5]}),
        ODD: ([(0, True, 1)], False),
    })
    send("production", earlier, {"one-way": ([(3, "c", 40)], "a")})
    send("staging", earlier, {"two-ways": ([(1, "green", 1)], ""), "elsewhere": ([(0, 1, 1)], 0)})
    for flag, made in (("just-made", NOW - HOUR), ("forgotten", NOW - 90 * DAY)):
        ask(f"/v1/projects/{PROJECT}/flags/{flag}", "PUT", {"createdAt": ms(made)})
    wait("/v1/pipeline/health", lambda health: health["lag"]["records"] == 0)
    wait(f"/v1/projects/{PROJECT}/stale-flags", lambda list: list["complete"] and list["totalCount"] == 6)

    configuration = launchdarkly_api.Configuration(host=URL, api_key={"ApiKey": "read-key-of-nobody"})
    with launchdarkly_api.ApiClient(configuration) as client:
        flags = launchdarkly_api.FeatureFlagsApi(client)
        statuses(flags, earlier)
        across(flags, earlier)
        usage(launchdarkly_api.AccountUsageBetaApi(client), earlier)
    print(f"{len(CHECKS)} checks by launchdarkly-api {launchdarkly_api.__version__}")


if __name__ == "__main__":
    main()
