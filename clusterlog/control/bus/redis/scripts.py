"""What must happen at once, or by the server's own clock: scripts in Redis' Lua, which end in microseconds.

All keys of a name space share one hash tag, so that they stay together wherever a cluster of Redis would put them.
"""

from __future__ import annotations

from urllib.parse import quote

from clusterlog.control.bus.base import KEPT_S


class Keys:
    """The names of a name space. What nodes write (``leases``) and what operators write (``document``) lie apart."""

    def __init__(self, cluster: str) -> None:
        self.prefix = f"clusterlog:{{{quote(cluster, safe='')}}}:"
        self.document = f"{self.prefix}document"
        self.leases = f"{self.prefix}leases"
        self.ends = f"{self.prefix}leases:ends"
        self.version = f"{self.prefix}leases:version:"
        self.changed = f"{self.prefix}changed"
        self.messages = f"{self.prefix}messages"


WRITE = """
local kept = redis.call('GET', KEYS[1])
if ARGV[1] == '0' and kept then return 0 end
if ARGV[1] == '1' and kept ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
"""
"""Keys: document. Arguments: whether there is one to be replaced, that one, the new one; channel and what is pushed."""

_NOW = "local time = redis.call('TIME') local now = time[1] * 1000000 + time[2]\n"
_FORGET = """
local function forget(key)
    local was = redis.call('HGET', KEYS[1], key)
    local version = was and string.match(was, '^%S+ %S+ ([^\\n]*)\\n')
    if version then redis.call('ZREM', KEYS[3] .. version, key) end
    redis.call('HDEL', KEYS[1], key)
    redis.call('ZREM', KEYS[2], key)
end
"""

LEASE = f"""
{_NOW}{_FORGET}
local key, body, ttl, version = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
forget(key)
local ends = string.format('%.0f', now + ttl)
local counted = KEYS[3] .. version
redis.call('HSET', KEYS[1], key, string.format('%.0f %.0f ', now, ttl) .. version .. '\\n' .. body)
redis.call('ZADD', KEYS[2], ends, key)
redis.call('ZADD', counted, ends, key)
local life = math.ceil(ttl / 1000)
if redis.call('PTTL', counted) < life then redis.call('PEXPIRE', counted, life) end
local before = string.format('%.0f', now - {int(KEPT_S * 1e6)})
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', before, 'LIMIT', 0, 100)) do forget(old) end
"""
"""Keys: leases, ends, beginning of the keys that count. Arguments: key, body, microseconds it is good for, version.

A hash holds all leases, each behind the time it was said; sorted sets hold when they run out, one set for all and one
for each version, whose count takes no longer for many than for few. A lease that is forgotten leaves all three.
"""

RELEASE = f"{_FORGET}forget(ARGV[1])"
"""Keys: as those of ``LEASE``. Arguments: key."""

LEASED = f"{_NOW}return redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', now), '+inf')"
"""Keys: the one that counts for a version."""
