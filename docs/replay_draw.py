"""Replay a stratified draw, leftovers balanced: python replay_draw.py register.csv 1/2,1/4,1/4 "the seed"."""
import csv, fractions, hashlib, math, sys, unicodedata as uni  # noqa: E401, I001
def philox(counter, key):  # one block of Philox4x64-10 (Salmon et al. 2011): four words from 16 bytes of key
    c, k = [counter, 0, 0, 0], [int.from_bytes(key[i:i + 8], "little") for i in (0, 8)]
    for _ in range(10):
        p, q = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [q >> 64 ^ c[1] ^ k[0], q & 2**64 - 1, p >> 64 ^ c[3] ^ k[1], p & 2**64 - 1]
        k = [(k[0] + 0x9E3779B97F4A7C15) % 2**64, (k[1] + 0xBB67AE8584CAA73B) % 2**64]
    return c
def words(n, *path):  # the first n words of the stream of this name
    fields = b"".join(len(f).to_bytes(8, "little") + f for f in map(str.encode, ("kokeilu/1", *path)))
    return [w for block in range(-(-n // 4)) for w in philox(1 + block, hashlib.sha256(fields).digest())][:n]
def below(bound, *path, attempt=0):  # an exactly uniform whole number, 0 <= number < bound
    word = words(1, *path, f"attempt {attempt}")[0]
    return word % bound if word < 2**64 - 2**64 % bound else below(bound, *path, attempt=attempt + 1)
def order(n, bits, *path):  # 0 ... n - 1 in random order
    return [i for _, i in sorted((word >> bits, i) for i, word in enumerate(words(n, *path)))]
def close(rows, unit, *path):  # unbiased controlled rounding (Cox 1987): all cells become multiples of unit
    for step, view in enumerate(iter(lambda: [r for r in rows if any(x % unit for x in r)][:len(rows[0])], [])):
        cells = [(i, j) for i, row in enumerate(view) for j, x in enumerate(row) if x % unit]
        for _ in tuple(cells):  # drop what is alone in its row or column
            cells = [c for c in cells if all(any(c[i] == d[i] and c != d for d in cells) for i in (0, 1))]
        ring, met = cells[:1], []
        while not met:  # by turns along the row and along the column, until a column or a row is met again
            side = 1 - len(ring) % 2
            ring.append(next(c for c in cells if c[side] == ring[-1][side] and c != ring[-1]))
            met = [n for n, c in enumerate(ring[:-1]) if c[1 - side] == ring[-1][1 - side]]
        ring = [(view[i], j, (-1) ** n) for n, (i, j) in enumerate(ring[met[-1]:])]
        room = [-sign * row[j] % unit for row, j, sign in ring]
        ahead, behind = min(room), unit - max(room)
        move = ahead if below(ahead + behind, *path, f"step {step}") < behind else -behind
        for row, j, sign in ring:
            row[j] += sign * move
def seats(owed, *path):  # the arms of the seats of each stratum, from the seats of each arm that it is owed
    unit = math.lcm(*(x.denominator for row in owed for x in row))
    part = [tuple(int(x % 1 * unit) for x in row) for row in owed]
    classes = sorted(f for f in set(part) if any(f))
    arms = order(len(owed[0]), 0, *path, "arms")
    picked = [classes[c] for c in order(len(classes), 0, *path, "classes")]
    table = [[part.count(f) * f[k] for k in arms] for f in picked]
    close([*table, [-sum(column) % unit for column in zip(*table)]], unit, *path)
    ranked = order(len(owed), (len(classes) - 1).bit_length(), *path, "strata")
    given = [[k for k, x in enumerate(row) for _ in range(int(x))] for row in owed]
    for f, row in zip(picked, table):
        own = [s for s in ranked if part[s] == f]
        for t, k in enumerate(k for k, x in zip(arms, row) for _ in range(x // unit)):
            given[own[t % len(own)]].append(k)
    return given
def replay(rows, shares, seed, kind="t"):  # pairs (id, stratum), seed (kind "b": hex of bytes): the arm of each id
    rows, seed, groups = sorted(rows), kind + uni.normalize("NFC", seed), {s: [] for s in sorted({s for _, s in rows})}
    for i in order(len(rows), (len(groups) - 1).bit_length(), seed, "assign", "units"):
        groups[rows[i][1]].append(rows[i][0])
    given = seats([[len(g) * fractions.Fraction(p) for p in shares] for g in groups.values()], seed, "assign", "seats")
    return {person: k for g, arms in zip(groups.values(), given) for person, k in zip(g, sorted(arms))}
if __name__ == "__main__":  # last words, where they are needed: "text" (ids of digits are text), "bytes" (seed in hex)
    if len(sys.argv) < 4 or sum(map(fractions.Fraction, sys.argv[2].split(","))) != 1:
        sys.exit('Give a register, shares that sum to 1, and the seed: replay_draw.py register.csv 1/2,1/2 "the seed"')
    mark = max(",;\t", key=open(sys.argv[1], encoding="utf-8").readline().count)
    table = list(csv.reader(open(sys.argv[1], encoding="utf-8"), delimiter=mark))[1:]
    whole = all(i.removeprefix("-").isdecimal() for i, *_ in table) and "text" not in sys.argv[4:]
    pairs = [(int(i) if whole else i, tuple(s)) for i, *s in table]
    drawn = replay(pairs, sys.argv[2].split(","), sys.argv[3], "b" if "bytes" in sys.argv[4:] else "t")
    print("id,arm", *(f"{i},{arm}" for i, arm in drawn.items()), sep="\n")
