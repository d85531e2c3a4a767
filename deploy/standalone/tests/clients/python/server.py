"""Tells events through a server SDK as published, then ends: python server.py SDK ENDPOINT SCENARIO USER"""

import sys

sdk, endpoint, scenario, user = sys.argv[1:]

if sdk == "segment-analytics-python":
    import segment.analytics as analytics

    analytics.write_key = "key"
    analytics.host = endpoint
    analytics.gzip = True
else:
    import rudderstack.analytics as analytics

    analytics.write_key = "key"
    analytics.dataPlaneUrl = endpoint


def calls():
    context = {
        "ip": "203.0.113.7",
        "locale": "de-DE",
        "userAgent": "Shop/1.0",
        "campaign": {"name": "spring", "source": "mail"},
    }
    page = {"url": "https://shop.example/home?q=1", "path": "/home", "title": "Shop", "referrer": "https://search.example/"}
    click = {"element": "a#buy", "element_text": "Buy now", "element_href": "/cart"}
    analytics.identify(user, {"plan": "pro", "n": 1})
    analytics.page(user, name="Home", properties={**page, "n": 2}, context=context)
    analytics.track(user, "click", {**click, "n": 3})
    analytics.track(user, "Order Completed", {"total": 12.5, "n": 4}, anonymous_id="a1")
    analytics.screen(user, name="Cart", properties={"n": 5})
    analytics.group(user, "g1", {"n": 6})
    analytics.alias("a1", user)


def batch():
    for n in range(1, 51):
        analytics.track(user, "click", {"n": n})


{"calls": calls, "batch": batch, "retry": batch}[scenario]()
analytics.shutdown()
