"""The counting of suites.py, on the closing lines that the runners print."""

import os
import unittest

import suites


class Choosing(unittest.TestCase):
    def setUp(self):
        os.environ.setdefault("POLDER_CACHE", "/nonexistent")

    def test_every_file_of_the_clients_is_in_one_suite(self):
        of_pytest = {suite.name: suite.commands[0] for suite in suites.suites() if suite.runner == "pytest"}
        self.assertEqual(set(of_pytest), {"clients", "faults"})
        left_out = {argument.removeprefix("--ignore=") for argument in of_pytest["clients"] if argument.startswith("--ignore=")}
        self.assertEqual(left_out, {argument for argument in of_pytest["faults"] if argument.startswith("tests/")})
        for path in left_out:
            self.assertTrue((suites.ROOT / path).is_file(), path)

    def test_what_a_file_starts_is_shared_by_its_tests(self):
        for suite in suites.suites():
            if suite.runner == "pytest":
                self.assertIn("loadfile", suite.commands[0])


class Counting(unittest.TestCase):
    def check(self, runner, status, output, expected):
        outcome = suites.judge(runner, status, output)
        self.assertEqual((outcome.passed, outcome.failed, outcome.skipped), expected, output)

    def test_nextest(self):
        self.check("nextest", 0, "     Summary [   0.028s] 8 tests run: 8 passed, 0 skipped\n", (8, 0, 0))
        self.check("nextest", 100, "  Summary [ 1.2s] 9 tests run: 7 passed (1 slow), 2 failed, 3 skipped\n", (7, 2, 3))
        self.check("nextest", 100, "\x1b[31m  Summary\x1b[0m [ 1.2s] \x1b[1m2\x1b[0m tests run: 1 passed, 1 timed out, 0 skipped\n",
                   (1, 1, 0))
        self.check("nextest", 101, "error: could not compile `polder-lake`\n", (0, 1, 0))

    def test_pytest(self):
        self.check("pytest", 0, "12 passed in 3.04s\n", (12, 0, 0))
        self.check("pytest", 1, "1 failed, 12 passed, 2 skipped in 3.04s\n", (12, 1, 2))
        self.check("pytest", 1, "1 passed, 1 error in 0.10s (0:00:00)\n", (1, 1, 0))
        self.check("pytest", 5, "no tests ran in 0.01s\n", (0, 1, 0))
        self.check("pytest", 0, "2 skipped in 0.01s\n", (0, 1, 2))
        # Side by side, a process that dies fails the test that it was at.
        self.check("pytest", 1, "bringing up nodes...\n..F\n[gw1] node down: Not properly terminated\nreplacing crashed worker gw1\n"
                   "1 failed, 11 passed in 3.04s\n", (11, 1, 0))
        self.check("pytest", 3, "bringing up nodes...\nINTERNALERROR> AssertionError\nno tests ran in 3.04s\n", (0, 1, 0))

    def test_vitest(self):
        self.check("vitest", 0, " Test Files  2 passed (2)\n      Tests  14 passed (14)\n", (14, 0, 0))
        self.check("vitest", 1, "      Tests  1 failed | 13 passed | 2 skipped (16)\n", (13, 1, 2))

    def test_node(self):
        self.check("node", 0, "ℹ tests 3\nℹ pass 3\nℹ fail 0\nℹ cancelled 0\nℹ skipped 0\n", (3, 0, 0))
        self.check("node", 1, "# pass 2\n# fail 1\n# cancelled 1\n# skipped 0\n", (2, 2, 0))

    def test_unittest(self):
        self.check("unittest", 0, "Ran 5 tests in 0.001s\n\nOK (skipped=1)\n", (4, 0, 1))
        self.check("unittest", 1, "Ran 5 tests in 0.001s\n\nFAILED (failures=1, errors=2)\n", (2, 3, 0))

    def test_checks(self):
        self.check("check", 0, "", (1, 0, 0))
        self.check("check", 1, "", (0, 1, 0))

    def test_nothing_ran(self):
        self.check("nextest", 0, "", (0, 1, 0))


if __name__ == "__main__":
    unittest.main()
