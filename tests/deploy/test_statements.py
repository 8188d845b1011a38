"""The embedded AWS takes each PartiQL text apart once; what comes of it is what MiniStack itself makes of it, each time."""

from __future__ import annotations

import subprocess

from deploy.local.supervisor import ROOT

#: Runs where MiniStack is: says what the two make of each statement, twice each.
COMPARE = r"""
import copy, importlib, sys
sys.path.insert(0, "deploy/local")
import emulator
dynamodb = importlib.import_module("ministack.services.dynamodb")
plain = dynamodb.parse_partiql_statement
emulator.parse_statements_once(dynamodb)
S, N, both = {"S": "a'?'b"}, {"N": "7"}, 0
for text, given in (
    ('INSERT INTO "t" VALUE {\'id\': ?, \'it\'\'s\': ?, \'m\': {\'q\': ?}, \'l\': [?, 1, true, null]}', [S, N, {"L": []}, S]),
    ('INSERT INTO "t" VALUE ?', [{"M": {"id": S}}]),
    ('UPDATE "t" SET a = ? SET b = b + ? REMOVE "c" WHERE id = ? AND (attribute_exists(x) OR rank < ?)', [S, N, S, N]),
    ('UPDATE "t" SET a = set_add(a, ?) WHERE id = ? RETURNING ALL OLD *', [{"SS": ["x"]}, S]),
    ('UPDATE "t" SET a = <<?, ?>> WHERE id = ?', [S, {"S": "other"}, S]),
    ('UPDATE "t" SET a = <<?, ?>> WHERE id = ?', [S, S, S]),
    ('SELECT * FROM "t" WHERE id = ? AND x IN [?, ?] AND y BETWEEN ? AND ?', [S, S, S, N, N]),
    ('DELETE FROM "t" WHERE id = ? AND "v" IS NOT MISSING', [S]),
    ('UPDATE "t" SET a = ? WHERE id = ? AND rank < ?', [S, S, {"BOOL": True}]),
    ('UPDATE "t" SET a = ? WHERE id = ?', [S]),
    ('UPDATE "t" SET a = ? WHERE id = ?', []),
    ('UPDATE "t" SET WHERE', [S]),
):
    def told(parse):
        try:
            return parse(text, copy.deepcopy(given))
        except Exception as error:
            return type(error), str(error)
    wanted = told(plain)
    for _ in range(2):
        assert told(dynamodb.parse_partiql_statement) == wanted, (text, wanted)
        both += 1
print(both)
"""


def test_a_text_that_was_taken_apart_before_means_the_same_with_other_values() -> None:
    python = ROOT / ".venv-emulator" / "bin" / "python"
    ran = subprocess.run([python, "-c", COMPARE], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[-1] == "24"
