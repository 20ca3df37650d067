"""Past one machine: the runs of many workers, in Redis (the extra ``redis``).

``RunLog`` keeps the events of runs in Redis Streams, so that any worker serves any run to any
number of followers, across restarts and deaths. ``BlockingRunLog`` is the same for synchronous
code, and ``InMemoryStore`` a store for the tests of applications.
"""

from rxassist.redis.in_memory import InMemoryStore
from rxassist.redis.run_log import BlockingRunLog, Published, RunLog
from rxassist.redis.store import Store

__all__ = ["BlockingRunLog", "InMemoryStore", "Published", "RunLog", "Store"]
