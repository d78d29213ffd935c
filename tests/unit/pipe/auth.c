/* SPDX-License-Identifier: MIT */
/* auth.c - the challenge, by transcripts that Python's hmac made (vectors.py), and both ends of the handshake. */
#include "pipe/auth.h"
#include "auth_vectors.h"
#include "brood_test.h"

#include <string.h>

static const struct auth_key key = {vector_key, sizeof vector_key, false};
static const struct auth_key lenient = {vector_key, sizeof vector_key, true};
static const struct auth_key other = {"another", 7, true};

/* What is signed: the challenge without its first word. */
#define MESSAGE(challenge) ((challenge) + 11)

#define ck_frame(frame, expected)                                    \
    do {                                                             \
        ck_assert_uint_eq((frame).size, sizeof(expected));           \
        ck_assert_mem_eq((frame).bytes, expected, sizeof(expected)); \
    } while (0)
#define ck_text(frame, text)                                 \
    do {                                                     \
        ck_assert_uint_eq((frame).size, strlen(text));       \
        ck_assert_mem_eq((frame).bytes, text, strlen(text)); \
    } while (0)

START_TEST(challenges_are_fresh)
{
    uint8_t first[AUTH_MESSAGE] = {0}, second[AUTH_MESSAGE] = {0};
    struct auth_frame out;
    ck_assert_int_eq(brood__auth_challenge(first, &out), 0);
    ck_assert_uint_eq(out.size, 11 + AUTH_MESSAGE);
    ck_assert_mem_eq(out.bytes, "#CHALLENGE#{sha256}", 19);
    ck_assert_mem_eq(MESSAGE(out.bytes), first, AUTH_MESSAGE);
    ck_assert_int_eq(brood__auth_challenge(second, &out), 0);
    ck_assert_mem_ne(first, second, AUTH_MESSAGE);
}
END_TEST

START_TEST(answers_as_python_does)
{
    struct auth_frame out;
    ck_assert_int_eq(brood__auth_answer(&key, vector_challenge, sizeof vector_challenge, &out), 0);
    ck_frame(out, vector_answer);
    ck_assert_int_eq(brood__auth_answer(&lenient, vector_challenge, sizeof vector_challenge, &out), 0);
    ck_frame(out, vector_answer);
    ck_assert_int_eq(brood__auth_answer(&lenient, vector_old_challenge, sizeof vector_old_challenge, &out), 0);
    ck_frame(out, vector_old_answer);
    ck_assert_int_eq(brood__auth_answer(&lenient, vector_md5_challenge, sizeof vector_md5_challenge, &out), 0);
    ck_frame(out, vector_md5_answer);
}
END_TEST

static void ck_unanswered(const struct auth_key *with, const void *frame, size_t size, const char *why)
{
    struct auth_frame out;
    ck_assert_int_eq(brood__auth_answer(with, frame, size, &out), BROOD_EAUTH);
    ck_assert_uint_eq(out.size, 0);
    ck_assert_ptr_nonnull(strstr(brood_error_detail(), why));
}

START_TEST(refuses_other_challenges)
{
    static const unsigned char huge[AUTH_MOST + 1] = "#CHALLENGE#{sha256}";
    ck_unanswered(&key, vector_old_challenge, sizeof vector_old_challenge, "MD5");
    ck_unanswered(&key, vector_md5_challenge, sizeof vector_md5_challenge, "MD5");
    ck_unanswered(&lenient, "", 0, "challenge");
    ck_unanswered(&lenient, "#CHALLENGE", 10, "challenge");
    ck_unanswered(&lenient, "#CHALLENGE#", 11, "only 0 bytes");
    ck_unanswered(&lenient, vector_old_challenge, sizeof vector_old_challenge - 1, "only 19 bytes");
    ck_unanswered(&lenient, "#CHALLENGE#{sha384}0123456789012345678901234567890123456789", 59, "neither");
    ck_unanswered(&lenient, "#CHALLENGE#0123456789012345678901234567890123456789", 51, "neither");
    ck_unanswered(&lenient, huge, sizeof huge, "challenge");
}
END_TEST

static int verify(const struct auth_key *with, const void *answer, size_t size)
{
    struct auth_frame out;
    int result = brood__auth_verify(with, MESSAGE(vector_challenge), answer, size, &out);
    if (result == 0)
        ck_text(out, "#WELCOME#");
    else
        ck_text(out, "#FAILURE#");
    return result;
}

START_TEST(verifies_as_python_does)
{
    unsigned char changed[sizeof vector_answer];
    ck_assert_int_eq(verify(&key, vector_answer, sizeof vector_answer), 0);
    ck_assert_int_eq(verify(&lenient, vector_answer, sizeof vector_answer), 0);
    ck_assert_int_eq(verify(&lenient, vector_answer_of_old, sizeof vector_answer_of_old), 0);
    ck_assert_int_eq(verify(&lenient, vector_answer_md5, sizeof vector_answer_md5), 0);

    ck_assert_int_eq(verify(&key, vector_answer_of_old, sizeof vector_answer_of_old), BROOD_EAUTH);
    ck_assert_int_eq(verify(&key, vector_answer_md5, sizeof vector_answer_md5), BROOD_EAUTH);
    ck_assert_int_eq(verify(&key, vector_other_answer, sizeof vector_other_answer), BROOD_EAUTH);
    ck_assert_int_eq(verify(&other, vector_answer, sizeof vector_answer), BROOD_EAUTH);
    ck_assert_int_eq(verify(&other, vector_answer_of_old, sizeof vector_answer_of_old), BROOD_EAUTH);
    for (size_t i = 0; i < sizeof vector_answer; i++) {
        ck_assert_int_eq(verify(&lenient, vector_answer, i), BROOD_EAUTH);
        for (int bit = 0; bit < 8; bit++) {
            memcpy(changed, vector_answer, sizeof changed);
            changed[i] = (unsigned char)(changed[i] ^ 1u << bit);
            ck_assert_int_eq(verify(&lenient, changed, sizeof changed), BROOD_EAUTH);
        }
    }
}
END_TEST

START_TEST(knows_a_welcome)
{
    ck_assert_int_eq(brood__auth_welcomed("#WELCOME#", 9), 0);
    ck_assert_int_eq(brood__auth_welcomed("#FAILURE#", 9), BROOD_EAUTH);
    ck_assert_int_eq(brood__auth_welcomed("#WELCOME#x", 10), BROOD_EAUTH);
    ck_assert_int_eq(brood__auth_welcomed("#WELCOME", 8), BROOD_EAUTH);
    ck_assert_int_eq(brood__auth_welcomed("", 0), BROOD_EAUTH);
}
END_TEST

/* Both ends, until one has come to an end: the answers of both. */
static void shake(const struct auth_key *listeners, const struct auth_key *clients, int *at_listener, int *at_client)
{
    struct auth listener, client;
    struct auth_frame frame, answer = {.size = 0};
    ck_assert_int_eq(brood__auth_begin(&client, AUTH_CLIENT, &frame), 0);
    ck_assert_uint_eq(frame.size, 0);
    ck_assert_int_eq(brood__auth_begin(&listener, AUTH_LISTENER, &frame), 0);
    *at_listener = *at_client = 0;
    while (*at_listener == 0 || *at_client == 0) {
        if (frame.size > 0) *at_client = brood__auth_take(&client, clients, frame.bytes, frame.size, &answer);
        if (*at_client < 0 && answer.size == 0) break; /* closes */
        if (answer.size > 0) *at_listener = brood__auth_take(&listener, listeners, answer.bytes, answer.size, &frame);
        if (*at_listener < 0 && frame.size == 0) break;
        if (*at_listener != 0 && *at_client == 0 && frame.size == 0) break;
        answer.size = 0;
    }
    if (*at_listener > 0) ck_assert_int_eq(listener.state, AUTH_DONE);
    if (*at_client > 0) ck_assert_int_eq(client.state, AUTH_DONE);
    if (*at_client < 0) {
        ck_assert_int_eq(client.state, AUTH_REFUSED);
        ck_assert_int_eq(brood__auth_take(&client, clients, "#WELCOME#", 9, &answer), BROOD_EAUTH);
    }
}

START_TEST(both_ends_agree)
{
    int listener, client;
    shake(&key, &key, &listener, &client);
    ck_assert_int_eq(listener, 1);
    ck_assert_int_eq(client, 1);
    shake(&lenient, &key, &listener, &client);
    ck_assert_int_eq(listener, 1);
    shake(&key, &other, &listener, &client);
    ck_assert_int_eq(listener, BROOD_EAUTH);
    ck_assert_int_eq(client, BROOD_EAUTH);
}
END_TEST

static Suite *auth_suite(void)
{
    Suite *suite = suite_create("auth");
    TCase *challenge = brood_test_case(suite, "challenge");
    tcase_add_test(challenge, challenges_are_fresh);
    tcase_add_test(challenge, answers_as_python_does);
    tcase_add_test(challenge, refuses_other_challenges);
    tcase_add_test(challenge, verifies_as_python_does);
    tcase_add_test(challenge, knows_a_welcome);
    tcase_add_test(challenge, both_ends_agree);
    return suite;
}

BROOD_TEST_MAIN(auth_suite)
