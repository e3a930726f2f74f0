"""Models that ask a server over HTTP.

``model`` is what they share: images as they are sent (``images``), at most so many requests at once
(``hosts``, ``limit``), tries (``retrying``), a cache of answers (``cache``), an event loop in a thread
(``loop``) and the HTTP client (``transport``). A kind of server adds its request and how its reply is read.
"""
