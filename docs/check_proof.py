"""Check one person's proof of a public draw: python check_proof.py proof.json certificate.json"""
import hashlib, json, sys  # noqa: E401, I001
def field(text):  # a text or bytes behind its length in eight bytes, so that no two lists of fields run together
    part = text.encode() if isinstance(text, str) else text
    return len(part).to_bytes(8, "little") + part
def sha(data):
    return hashlib.sha256(data).digest()
class Fraction(str):  # a number with a point, as the text has it
    pass
def read(path):
    return json.loads(open(path, encoding="utf-8").read(), parse_float=Fraction)
def canonical(value):  # the form of RFC 8785
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return str(value) if isinstance(value, Fraction) else json.dumps(value, ensure_ascii=False)
def print_of(body, *leave_out):  # the fingerprint of a published text
    return sha(canonical({key: value for key, value in body.items() if key not in leave_out}).encode()).hex()
def root(leaf, place, people, path):  # up the tree of RFC 6962: what has no sibling moves up unchanged
    path = [bytes.fromhex(sibling) for sibling in path]
    if not 0 <= place < people:
        return None
    while people > 1:
        if place ^ 1 < people:
            if not path:
                return None
            sibling = path.pop(0)
            leaf = sha(b"\1" + (sibling + leaf if place % 2 else leaf + sibling))
        place, people = place // 2, (people + 1) // 2
    return None if path else leaf.hex()
def check(proof, certificate):  # the name of each check and whether it holds
    commitment, register = certificate["commitment"], certificate["commitment"]["register"]
    row = field(bytes.fromhex(proof["person"])) + b"".join(field(name) + field(value) for name, value in proof["row"])
    salt, arm = bytes.fromhex(proof["salt"]), field(proof["arm"])
    frozen = sha(b"\0" + salt + field("kokeilu/register/1") + row)
    drawn = sha(b"\0" + salt + field("kokeilu/result/1") + row + arm)
    place, people = proof["place"], proof["people"]
    return {
        "certificate is whole": print_of(certificate, "secret", "fingerprint") == certificate["fingerprint"],
        "commitment is whole": print_of(commitment) == certificate["commitment_fingerprint"],
        "proof is whole": print_of(proof, "fingerprint") == proof["fingerprint"],
        "proof is of this draw": (proof["certificate"], proof["draw"], people)
        == (certificate["fingerprint"], commitment["name"], register["people"]),
        "record has the columns committed to": [n for n, _ in proof["row"]] == [n for n, _ in register["columns"]],
        "record was in the register before the draw": root(frozen, place, people, proof["frozen"]) == register["root"],
        "arm was drawn for this record": root(drawn, place, people, proof["drawn"]) == certificate["result_root"],
    }
if __name__ == "__main__":
    try:
        proof, certificate = map(read, sys.argv[1:])
        found = check(proof, certificate)
    except (OSError, ValueError, KeyError, TypeError):  # other files, or one that was cut short or written anew
        sys.exit("Give a proof and the certificate of its draw: python check_proof.py proof.json certificate.json")
    print(*(f"{'yes' if holds else 'NO '} {name}" for name, holds in found.items()), sep="\n")
    sys.exit(0 if all(found.values()) else 1)
