# SPDX-License-Identifier: MIT
"""The handshake by its published rule, from Python's own hmac: python3 vectors.py prints auth_vectors.h."""
import hmac

KEY = b"a secret of the family"
RANDOM = bytes(range(7, 47))
OLD = bytes(range(200, 220))


def lines(name, data):
    print("static const unsigned char %s[] = {" % name)
    for i in range(0, len(data), 16):
        print("    " + ", ".join("0x%02x" % b for b in data[i : i + 16]) + ",")
    print("};")


message = b"{sha256}" + RANDOM
md5_message = b"{md5}" + RANDOM
print("/* SPDX-License-Identifier: MIT */")
print("/* auth_vectors.h - what vectors.py prints: keys, challenges and answers. */")
print("/* clang-format off */")
lines("vector_key", KEY)
lines("vector_challenge", b"#CHALLENGE#" + message)
lines("vector_answer", b"{sha256}" + hmac.new(KEY, message, "sha256").digest())
lines("vector_answer_of_old", hmac.new(KEY, message, "md5").digest())
lines("vector_answer_md5", b"{md5}" + hmac.new(KEY, message, "md5").digest())
lines("vector_other_answer", b"{sha256}" + hmac.new(KEY + b"!", message, "sha256").digest())
lines("vector_old_challenge", b"#CHALLENGE#" + OLD)
lines("vector_old_answer", hmac.new(KEY, OLD, "md5").digest())
lines("vector_md5_challenge", b"#CHALLENGE#" + md5_message)
lines("vector_md5_answer", b"{md5}" + hmac.new(KEY, md5_message, "md5").digest())
print("/* clang-format on */")
