"""The work, without the program around it: ``python3 -m unittest discover tests``."""

import asyncio
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from work import fibonacci


class Work(unittest.TestCase):
    def test_the_first_numbers(self) -> None:
        numbers = [asyncio.run(fibonacci(number)) for number in range(8)]
        self.assertEqual(numbers, [0, 1, 1, 2, 3, 5, 8, 13])

    def test_a_large_one_lets_others_run(self) -> None:
        async def both() -> bool:
            task = asyncio.ensure_future(fibonacci(100_000))
            await asyncio.sleep(0)
            return task.done()

        self.assertFalse(asyncio.run(both()))


if __name__ == "__main__":
    unittest.main()
