"""{{name}}: works through its arguments, all of them side by side, and ends. Status 1: something failed."""

from __future__ import annotations

import asyncio
import os
import sys

from work import fibonacci


async def piece(word: str, limit: float) -> bool:
    """One piece of work, which says what came of it."""
    if not word.isdecimal():
        print(f"job: not a number argument={word!r}", file=sys.stderr)
        return False
    try:
        result = await asyncio.wait_for(fibonacci(int(word)), limit)
    except TimeoutError:
        print(f"job: took too long argument={word}", file=sys.stderr)
        return False
    print(f"job: fibonacci({word}) = {result}")
    return True


async def main(words: list[str]) -> int:
    """Works through the words. The exit status."""
    limit = float(os.environ.get("LIMIT", "1"))
    results = await asyncio.gather(*(piece(word, limit) for word in words))
    print(f"job: ended failed={results.count(False)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
