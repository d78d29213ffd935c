/* SPDX-License-Identifier: MIT */
/* listener.c - by which address one comes in, what is left of a path, and with which key; members under every start method. */
#include "callers.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ------------------------------------------------------------------------------------------------------- addresses */

START_TEST(addresses_that_mean_nothing)
{
    static const char *const wrong[] = {
        "",        "name",    "host:", "host:x", "host:65536", "host:-1",     "::1:80", "[::1]", "[]:80",
        "[::1:80", "[::1]80", "unix:", "@",      "host:0x10",  "host:100000", "::1",    ":"};
    static const char *const wrong_to_connect[] = {":80", "host:0", "127.0.0.1:00"};
    brood_connection c;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(brood_connection_connect(&c, wrong[i], NULL, 0), BROOD_EINVAL);
        ck_assert_int_eq(brood_listener_new(&door, wrong[i], NULL), BROOD_EINVAL);
        ck_assert_str_ne(brood_error_detail(), "");
    }
    for (size_t i = 0; i < sizeof wrong_to_connect / sizeof *wrong_to_connect; i++)
        ck_assert_int_eq(brood_connection_connect(&c, wrong_to_connect[i], NULL, 0), BROOD_EINVAL);
    ck_assert_int_eq(brood_connection_connect(&c, NULL, NULL, 0), BROOD_EINVAL);
    char path[200];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = 0;
    ck_assert_int_eq(brood_listener_new(&door, path, NULL), -ENAMETOOLONG);
    path[0] = '@';
    ck_assert_int_eq(brood_connection_connect(&c, path, NULL, 0), -ENAMETOOLONG);
    ck_assert_int_eq(brood_connection_connect(&c, "no-such-host.invalid:1", NULL, 0) < 0, 1);
    ck_assert_int_eq(brood_listener_new(&door, "/no/such/directory/socket", NULL), -ENOENT);
    ck_assert_int_eq(brood_connection_connect(&c, "/no/such/directory/socket", NULL, 0), -ENOENT);
    ck_assert_int_eq(brood_connection_connect(&c, "@brood-nobody-listens-here", NULL, PATIENCE), -ECONNREFUSED);
}
END_TEST

static void make_directory(char *directory, size_t size)
{
    const char *where = getenv("TMPDIR");
    snprintf(directory, size, "%s/brood-test-XXXXXX", where ? where : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void ck_address(const char *at, const char *begins)
{
    open_door(at, NULL);
    ck_assert_msg(strncmp(address, begins, strlen(begins)) == 0, "%s", address);
    char same[256];
    ck_assert_int_eq(brood_listener_address(door, same, strlen(address)), BROOD_EMSGSIZE);
    brood_test_ok(brood_listener_address(door, same, strlen(address) + 1));
    ck_gets_in(NULL, 0);
    brood_test_ok(brood_listener_free(door));
}

START_TEST(all_kinds_of_addresses)
{
    char directory[64];
    ck_address(NULL, "@brood-");
    ck_address("@brood-test-listener", "@brood-test-listener");
    ck_address("127.0.0.1:0", "127.0.0.1:");
    ck_address("localhost:0", "");
    if (access("/proc/net/if_inet6", R_OK) == 0) ck_address("[::1]:0", "[::1]:");
    make_directory(directory, sizeof directory);
    ck_assert_int_eq(chdir(directory), 0);
    ck_address("unix:socket", "unix:socket");
    ck_address("./socket", "./socket");
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(rmdir(directory), 0); /* nothing is left there */
}
END_TEST

START_TEST(all_addresses_of_this_machine)
{
    char port[16];
    open_door(":0", NULL);
    snprintf(port, sizeof port, "%s", strrchr(address, ':'));
    snprintf(address, sizeof address, "127.0.0.1%s", port);
    ck_gets_in(NULL, 0);
    brood_test_ok(brood_listener_free(door));
    brood_connection c;
    ck_assert_int_eq(brood_connection_connect(&c, address, NULL, PATIENCE), -ECONNREFUSED);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ paths */

static char path[64];

static void make_path(void)
{
    char directory[sizeof path - 8];
    make_directory(directory, sizeof directory);
    snprintf(path, sizeof path, "%s/socket", directory);
}

static void remove_path(void)
{
    ck_assert_int_ne(access(path, F_OK), 0);
    *strrchr(path, '/') = 0;
    ck_assert_int_eq(rmdir(path), 0);
}

START_TEST(a_path_is_removed_by_its_maker_alone)
{
    make_path();
    open_door(path, NULL);
    pid_t child = fork();
    if (child == 0) _exit(brood_listener_free(door) == 0 && access(path, F_OK) == 0 ? 0 : 1);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_gets_in(NULL, 0);
    brood_test_ok(brood_listener_free(door));
    /* One that is another's by now stays. */
    open_door(path, NULL);
    ck_assert_int_eq(unlink(path), 0);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    brood_test_ok(brood_listener_free(door));
    ck_assert_int_eq(unlink(path), 0);
    remove_path();
}
END_TEST

START_TEST(a_dead_path_is_replaced)
{
    brood_listener second;
    make_path();
    pid_t child = fork();
    if (child == 0)
        _exit(brood_listener_new(&door, path, &(brood_connection_options){.authkey = "k", .authkey_size = 1}) != 0);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(access(path, F_OK), 0); /* what the dead left */
    open_door(path, NULL);
    ck_gets_in(NULL, 0);
    ck_assert_int_eq(brood_listener_new(&second, path, NULL), -EADDRINUSE);
    ck_gets_in(NULL, 1); /* the probe was a caller that said nothing */
    brood_test_ok(brood_listener_free(door));
    remove_path();
}
END_TEST

START_TEST(a_file_is_no_socket)
{
    make_path();
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(brood_listener_new(&door, path, NULL), -EADDRINUSE);
    ck_assert_int_eq(close(file), 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/nowhere/at/all", path), 0);
    ck_assert_int_eq(brood_listener_new(&door, path, NULL), -EADDRINUSE);
    ck_assert_int_eq(unlink(path), 0);
    remove_path();
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------- keys */

START_TEST(the_right_key_and_a_wrong_one)
{
    const brood_connection_options right = {.authkey = "secret", .authkey_size = 6};
    struct caller wrong = {.options = {.authkey = "Secret", .authkey_size = 6}};
    brood_connection accepted;
    open_door(NULL, &right);
    for (int i = 0; i < 3; i++) {
        call(&wrong);
        ck_assert_int_eq(brood_listener_accept(door, &accepted, PATIENCE), BROOD_EAUTH);
        ck_assert_ptr_nonnull(strstr(brood_error_detail(), "another key"));
        ck_assert_ptr_nonnull(strstr(brood_error_detail(), "pid "));
        ck_assert_int_eq(called(&wrong), BROOD_EAUTH);
        ck_assert_ptr_nonnull(strstr(wrong.detail, "refuses our answer"));
        ck_gets_in(&right, 0);
    }
    /* The family's key is another one. */
    wrong = (struct caller){.address = address};
    call(&wrong);
    ck_assert_int_eq(brood_listener_accept(door, &accepted, PATIENCE), BROOD_EAUTH);
    ck_assert_int_eq(called(&wrong), BROOD_EAUTH);
    brood_test_ok(brood_listener_free(door));
}
END_TEST

START_TEST(keys_of_all_sizes)
{
    static char key[1025];
    brood_connection c;
    for (size_t size = 1; size <= 1024; size *= 4) {
        open_door(NULL, &(brood_connection_options){.authkey = key, .authkey_size = size});
        ck_gets_in(&(brood_connection_options){.authkey = key, .authkey_size = size}, 0);
        brood_test_ok(brood_listener_free(door));
    }
    const brood_connection_options bad[] = {
        {.authkey = key},
        {.authkey = key, .authkey_size = 1025},
        {.authkey_size = 5},
        {.authkey = key, .authkey_size = 5, .unauthenticated = true},
        {.allow_md5 = true, .unauthenticated = true},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(brood_listener_new(&door, NULL, &bad[i]), BROOD_EINVAL);
        ck_assert_int_eq(brood_connection_connect(&c, "@x", &bad[i], 0), BROOD_EINVAL);
    }
}
END_TEST

START_TEST(without_a_key_or_a_family)
{
    const brood_connection_options anybody = {.unauthenticated = true}, key = {.authkey = "k", .authkey_size = 1};
    brood_connection c;
    brood_test_ok(brood_fini());
    ck_assert_int_eq(brood_listener_new(&door, NULL, NULL), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_connection_connect(&c, "@x", NULL, 0), BROOD_ENOTMEMBER);
    open_door(NULL, &anybody);
    ck_gets_in(&anybody, 0);
    brood_test_ok(brood_listener_free(door));
    open_door(NULL, &key);
    ck_gets_in(&key, 0);
    brood_test_ok(brood_listener_free(door));
}
END_TEST

struct place {
    char address[256];
};

BROOD_TASK(echo, int, struct place, place)
{
    char data[64];
    size_t size;
    brood_connection c;
    MUST(brood_connection_connect(&c, place.address, NULL, PATIENCE) == 0);
    while (brood_connection_recv(c, data, sizeof data, &size, PATIENCE) == 0)
        MUST(brood_connection_send(c, data, size, PATIENCE) == 0);
    MUST(brood_connection_free(c) == 0);
    return 0;
}

/* The family's key needs no words under any start method; a member that dies is the end of its stream. */
START_TEST(members_share_a_key)
{
    char data[64];
    size_t size;
    brood_connection c[2];
    brood_process p[2];
    struct place place;
    open_door(NULL, NULL);
    memcpy(place.address, address, sizeof place.address);
    for (int m = 0; m < MEMBERS_METHODS; m++) {
        for (int i = 0; i < 2; i++) {
            members_start(&p[i], members_methods[m], echo, &place);
            brood_test_ok(brood_listener_accept(door, &c[i], PATIENCE));
            brood_test_ok(brood_connection_send(c[i], "hello", 5, PATIENCE));
            brood_test_ok(brood_connection_recv(c[i], data, sizeof data, &size, PATIENCE));
            ck_assert(size == 5 && memcmp(data, "hello", 5) == 0);
        }
        members_kill(p[0]);
        ck_assert_int_eq(brood_connection_recv(c[0], data, sizeof data, &size, PATIENCE), BROOD_ECLOSED);
        for (int i = 0; i < 2; i++) brood_test_ok(brood_connection_free(c[i]));
        members_end(p[1], 0);
    }
    brood_test_ok(brood_listener_free(door));
}
END_TEST

static Suite *listener_suite(void)
{
    Suite *suite = suite_create("listener");
    TCase *addresses = brood_test_case(suite, "addresses");
    tcase_add_test(addresses, addresses_that_mean_nothing);
    tcase_add_test(addresses, all_kinds_of_addresses);
    tcase_add_test(addresses, all_addresses_of_this_machine);
    TCase *paths = brood_test_case(suite, "paths");
    tcase_add_test(paths, a_path_is_removed_by_its_maker_alone);
    tcase_add_test(paths, a_dead_path_is_replaced);
    tcase_add_test(paths, a_file_is_no_socket);
    TCase *keys = brood_test_case(suite, "keys");
    tcase_add_test(keys, the_right_key_and_a_wrong_one);
    tcase_add_test(keys, keys_of_all_sizes);
    tcase_add_test(keys, without_a_key_or_a_family);
    tcase_add_test(keys, members_share_a_key);
    return suite;
}

BROOD_TEST_MAIN(listener_suite)
