"""What is answered, without a network: ``python3 -m unittest discover tests``."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from pages import Site


class Pages(unittest.TestCase):
    def test_the_page_greets(self) -> None:
        answer = Site("<hi>").answer("GET / HTTP/1.1\r\nHost: x\r\n\r\n").decode()
        self.assertTrue(answer.startswith("HTTP/1.1 200 OK\r\n"))
        self.assertIn("<h1>&lt;hi&gt;</h1>", answer)

    def test_a_head_has_no_body_but_its_length(self) -> None:
        answer = Site("hi").answer("HEAD /healthz HTTP/1.1\r\n\r\n")
        self.assertTrue(answer.endswith(b"\r\n\r\n"))
        self.assertIn(b"Content-Length: 3\r\n", answer)

    def test_what_is_not_served_says_so(self) -> None:
        site = Site("hi")
        for head, status in (("GET /x HTTP/1.1", "404"), ("PUT / HTTP/1.1", "405"), ("hello", "400")):
            self.assertEqual(site.answer(head + "\r\n\r\n").split(b" ")[1].decode(), status)


if __name__ == "__main__":
    unittest.main()
