"""Models that ask a server over HTTP.

``model`` is the base class. It uses encoded images (``images``), bounded concurrency (``hosts``,
``concurrency``), retries (``retrying``), a cache of answers (``cache``), an event loop in a thread (``loop``)
and the HTTP client (``transport``). A subclass adds the request and the parsing of the reply.
"""
