/* SPDX-License-Identifier: MIT */
/*
 * shm.c - named shared memory: exact sizes, errors instead of signals, and names that go with the last who uses them.
 *
 * A second family is a process forked without Brood's help, which founds its own.
 */
#include "members.h"

#include "process/supervisor.h"
#include "shared/names.h"

#include <brood.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static long long size_of(const char *name)
{
    struct stat file;
    int folder = open("/dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(folder, 0);
    int error = fstatat(folder, name, &file, 0);
    close(folder);
    return error == 0 ? (long long)file.st_size : -1;
}

static bool exists(const char *name)
{
    return size_of(name) >= 0;
}

/* A name that no other test has. */
static const char *fresh_name(char name[64])
{
    static int number;
    snprintf(name, 64, "brood-test-%d-%d", (int)getpid(), number++);
    return name;
}

/* The name goes, sooner or later. */
static void goes(const char *name)
{
    for (int i = 0; i < PATIENCE && exists(name); i++) usleep(1000);
    ck_assert(!exists(name));
}

/* ------------------------------------------------------------------------------------------------------------ alone */

START_TEST(has_a_name_and_its_size)
{
    size_t sizes[] = {1, 100, 4096, 4097, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        brood_shm shm;
        char name[BROOD_SHM_NAME], few[4];
        unsigned char *data;
        size_t size = 0;
        brood_test_ok(brood_shm_create(&shm, sizes[i], NULL, (void **)&data));
        int length = brood_shm_name(shm, name, sizeof name);
        ck_assert_int_eq(length, (int)strlen(name));
        ck_assert_int_eq(brood_shm_name(shm, few, sizeof few), length);
        ck_assert_int_eq(strncmp(few, name, 3), 0);
        ck_assert_int_eq(size_of(name), (long long)sizes[i]);
        ck_assert_ptr_eq(brood_shm_data(shm, &size), data);
        ck_assert_uint_eq(size, sizes[i]);
        for (size_t k = 0; k < size; k++) ck_assert_uint_eq(data[k], 0);
        memset(data, 0xab, size);
        brood_shm other;
        brood_test_ok(brood_shm_attach(&other, name, NULL));
        ck_assert_uint_eq(other.id, shm.id); /* the family knows it */
        brood_test_ok(brood_shm_unlink(shm));
        ck_assert(!exists(name));
        ck_assert_int_eq(brood_shm_unlink(shm), BROOD_ESTALE);
        ck_assert_int_eq(brood_shm_attach(&other, name, NULL), -ENOENT);
        ck_assert_uint_eq(data[size - 1], 0xab); /* it is mapped still */
        ck_assert_ptr_nonnull(brood_shm_data(shm, NULL));
        brood_test_ok(brood_shm_close(shm));
        ck_assert_int_eq(brood_shm_close(shm), BROOD_ESTALE);
        ck_assert_ptr_null(brood_shm_data(shm, NULL));
        ck_assert_int_eq(brood_shm_name(shm, name, sizeof name), BROOD_ESTALE);
    }
}
END_TEST

START_TEST(closed_is_mapped_again)
{
    brood_shm shm;
    char *data;
    brood_test_ok(brood_shm_create(&shm, 100, NULL, (void **)&data));
    memcpy(data, "text", sizeof "text");
    brood_test_ok(brood_shm_close(shm));
    data = brood_shm_data(shm, NULL);
    ck_assert_ptr_nonnull(data);
    ck_assert_str_eq(data, "text");
    brood_test_ok(brood_shm_close(shm));
    brood_test_ok(brood_shm_unlink(shm));
}
END_TEST

START_TEST(names_are_checked)
{
    brood_shm shm, other;
    char name[64], slash[70], longest[BROOD_SHM_NAME + 1];
    const char *bad[] = {"", "/", ".", "..", "/..", "a/b", "//a", "a/", ".brood-0123"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(brood_shm_create(&shm, 1, &(brood_shm_options){.name = bad[i]}, NULL), BROOD_EINVAL);
        ck_assert_int_eq(brood_shm_attach(&shm, bad[i], NULL), BROOD_EINVAL);
    }
    memset(longest, 'x', sizeof longest);
    longest[BROOD_SHM_NAME] = 0;
    ck_assert_int_eq(brood_shm_attach(&shm, longest, NULL), BROOD_EINVAL);
    longest[BROOD_SHM_NAME - 1] = 0;
    brood_test_ok(brood_shm_create(&shm, 1, &(brood_shm_options){.name = longest}, NULL));
    brood_test_ok(brood_shm_unlink(shm));
    ck_assert_int_eq(brood_shm_attach(&shm, NULL, NULL), BROOD_EINVAL);
    ck_assert_int_eq(brood_shm_attach(&shm, fresh_name(name), NULL), -ENOENT);
    ck_assert_int_eq(brood_shm_create(&shm, 0, NULL, NULL), BROOD_EINVAL);
    snprintf(slash, sizeof slash, "/%s", name);
    brood_test_ok(brood_shm_create(&shm, 5, &(brood_shm_options){.name = slash}, NULL));
    ck_assert(exists(name));
    ck_assert_int_eq(brood_shm_create(&other, 5, &(brood_shm_options){.name = name}, NULL), -EEXIST);
    brood_test_ok(brood_shm_attach(&other, slash, NULL));
    brood_test_ok(brood_shm_unlink(shm));
    brood_test_ok(brood_shm_create(&other, 6, &(brood_shm_options){.name = name}, NULL)); /* the name is free */
    ck_assert_uint_ne(other.id, shm.id);
    ck_assert_int_eq(size_of(name), 6);
    brood_test_ok(brood_shm_unlink(other));
    ck_assert_int_eq(brood_shm_attach(&shm, name, &(brood_shm_options){.persist = true}), BROOD_EINVAL);
    ck_assert_int_eq(brood_shm_create(&shm, 1, &(brood_shm_options){.read_only = true}, NULL), BROOD_EINVAL);
}
END_TEST

START_TEST(mode_is_as_asked)
{
    brood_shm shm;
    char name[64], path[100];
    struct stat file;
    mode_t mask = umask(077);
    brood_test_ok(brood_shm_create(&shm, 1, &(brood_shm_options){.name = fresh_name(name), .mode = 0644}, NULL));
    umask(mask);
    snprintf(path, sizeof path, "/dev/shm/%s", name);
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_uint_eq(file.st_mode & 0777, 0644);
    brood_test_ok(brood_shm_unlink(shm));
    brood_test_ok(brood_shm_create(&shm, 1, &(brood_shm_options){.name = name}, NULL));
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_uint_eq(file.st_mode & 0777, 0600);
    brood_test_ok(brood_shm_unlink(shm));
}
END_TEST

START_TEST(forged_is_stale)
{
    uint64_t ids[MEMBERS_TYPES], state = 1442695040888963407;
    char name[16];
    members_one_of_each(ids);
    for (int i = 0; i < FORGERIES; i++) {
        brood_shm shm = {i < MEMBERS_TYPES ? ids[i] : members_forged(TABLE_NAMED, i, &state)};
        ck_assert_ptr_null(brood_shm_data(shm, NULL));
        ck_assert_int_eq(brood_shm_name(shm, name, sizeof name), BROOD_ESTALE);
        ck_assert_int_eq(brood_shm_close(shm), BROOD_ESTALE);
        ck_assert_int_eq(brood_shm_unlink(shm), BROOD_ESTALE);
    }
}
END_TEST

START_TEST(names_go_with_fini)
{
    brood_shm shm[3];
    char names[3][BROOD_SHM_NAME];
    for (int i = 0; i < 3; i++) {
        brood_test_ok(brood_shm_create(&shm[i], 10000, NULL, NULL));
        ck_assert_int_gt(brood_shm_name(shm[i], names[i], sizeof names[i]), 0);
    }
    brood_test_ok(brood_shm_close(shm[1]));
    brood_test_ok(brood_fini());
    for (int i = 0; i < 3; i++) ck_assert(!exists(names[i]));
    ck_assert_int_eq(brood_shm_create(&shm[0], 1, NULL, NULL), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_shm_attach(&shm[0], names[0], NULL), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_shm_close(shm[0]), BROOD_ENOTMEMBER);
    ck_assert_int_eq(brood_shm_unlink(shm[0]), BROOD_ENOTMEMBER);
    ck_assert_ptr_null(brood_shm_data(shm[0], NULL));
}
END_TEST

/* -------------------------------------------------------------------------------------------------- what the system says */

START_TEST(a_full_folder_is_a_code)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=256k") < 0) return;
    brood_shm shm, small;
    unsigned char *data;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(brood_shm_create(&shm, 1 << 20, NULL, NULL), -ENOSPC);
        ck_assert_str_eq(brood_error_detail(), "1048576 bytes: No space left on device");
        brood_test_ok(brood_shm_create(&small, 100 * 1024, NULL, (void **)&data));
        memset(data, 1, 100 * 1024);
        ck_assert_int_eq(brood_shm_create(&shm, 200 * 1024, NULL, NULL), -ENOSPC);
        brood_test_ok(brood_shm_unlink(small));
        brood_test_ok(brood_shm_close(small));
    }
    brood_test_ok(brood_fini());
}
END_TEST

START_TEST(limits_are_codes)
{
    brood_shm shm, first;
    struct rlimit files, none, size;
    brood_test_ok(brood_shm_create(&first, 1, NULL, NULL)); /* the supervisor is there */
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &size), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, size.rlim_max}), 0);
    ck_assert_int_eq(brood_shm_create(&shm, 200000, NULL, NULL), -EFBIG);
    brood_test_ok(brood_shm_create(&shm, 100000, NULL, NULL));
    brood_test_ok(brood_shm_unlink(shm));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &size), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    none = (struct rlimit){3, files.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ck_assert_int_eq(brood_shm_create(&shm, 1, NULL, NULL), BROOD_EMFILE);
    ck_assert_int_eq(brood_shm_attach(&shm, "nothing", NULL), BROOD_EMFILE);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    ck_assert_int_eq(brood_shm_create(&shm, SIZE_MAX, NULL, NULL), -EFBIG);
    brood_test_ok(brood_shm_create(&shm, 1, NULL, NULL));
}
END_TEST

START_TEST(cut_is_corrupt)
{
    brood_shm shm, other;
    char name[64], path[100];
    brood_test_ok(brood_shm_create(&shm, 10000, &(brood_shm_options){.name = fresh_name(name)}, NULL));
    brood_test_ok(brood_shm_close(shm));
    snprintf(path, sizeof path, "/dev/shm/%s", name);
    ck_assert_int_eq(truncate(path, 5000), 0);
    ck_assert_int_eq(brood_shm_attach(&other, name, NULL), BROOD_ECORRUPT);
    ck_assert_ptr_null(brood_shm_data(shm, NULL));
    ck_assert_int_ne(brood_error_detail()[0], 0);
    pid_t pid = fork();
    if (pid == 0) { /* another family has it from the ledger */
        int error = brood_init(NULL, NULL);
        if (error == 0) error = brood_shm_attach(&other, name, NULL) == BROOD_ECORRUPT ? 0 : 2;
        if (error == 0) error = brood_fini();
        _exit(error != 0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_lt(brood_shm_attach(&other, name, NULL), 0);
    ck_assert_int_eq(truncate(path, 20000), 0); /* longer does no harm */
    size_t size = 0;
    ck_assert_ptr_nonnull(brood_shm_data(shm, &size));
    ck_assert_uint_eq(size, 10000);
    brood_test_ok(brood_shm_unlink(shm));
}
END_TEST

/* Of any other program: attached, and never removed. */
START_TEST(strangers_segments_stay)
{
    brood_shm shm;
    char name[64], slash[70];
    size_t size = 0;
    snprintf(slash, sizeof slash, "/%s", fresh_name(name));
    int fd = shm_open(slash, O_CREAT | O_RDWR, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(brood_shm_attach(&shm, name, NULL), BROOD_EINVAL); /* empty */
    ck_assert_int_eq(ftruncate(fd, 5001), 0);
    brood_test_ok(brood_shm_attach(&shm, name, NULL));
    char *data = brood_shm_data(shm, &size);
    ck_assert_uint_eq(size, 5001);
    data[5000] = 'x';
    char c = 0;
    ck_assert_int_eq(pread(fd, &c, 1, 5000), 1);
    ck_assert_int_eq(c, 'x');
    brood_test_ok(brood_shm_close(shm));
    ck_assert_ptr_null(brood_shm_data(shm, NULL)); /* the handle was this process's */
    brood_test_ok(brood_shm_attach(&shm, name, &(brood_shm_options){.read_only = true}));
    ck_assert_int_eq(*((char *)brood_shm_data(shm, NULL) + 5000), 'x');
    close(fd);
    brood_test_ok(brood_fini());
    ck_assert(exists(name));
    ck_assert_int_eq(shm_unlink(slash), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- with others */

struct names {
    char name[64];
};

BROOD_TASK(doubles, int, brood_shm, shm, struct names, n)
{
    size_t size = 0;
    int *x = brood_shm_data(shm, &size), *y;
    MUST(x && size == 4000);
    brood_shm other;
    MUST(brood_shm_attach(&other, n.name, NULL) == 0 && other.id == shm.id);
    y = brood_shm_data(other, NULL);
    for (int i = 0; i < 500; i++) x[i] *= 2;
    for (int i = 500; i < 1000; i++) y[i] *= 2;
    return 0;
}

START_TEST(members_share)
{
    doubles_args args;
    int *x;
    brood_process child;
    brood_shm_options options = {.name = fresh_name(args.n.name)};
    brood_test_ok(brood_shm_create(&args.shm, 4000, &options, (void **)&x));
    for (int i = 0; i < 1000; i++) x[i] = i;
    for (int round = 0; round < 2; round++) {
        members_start(&child, members_methods[_i], doubles, &args);
        members_end(child, 0);
    }
    for (int i = 0; i < 1000; i++) ck_assert_int_eq(x[i], 4 * i);
    brood_test_ok(brood_shm_unlink(args.shm));
}
END_TEST

BROOD_TASK(makes_one, int, struct names, n, brood_event, ready, brood_scope, scope)
{
    brood_shm shm;
    char *data;
    MUST(brood_shm_create(&shm, 5000, &(brood_shm_options){.name = n.name, .scope = scope}, (void **)&data) == 0);
    memcpy(data, "made", sizeof "made");
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

/* Its maker is killed: the family has it, and only the family's end removes it. */
START_TEST(outlives_its_maker)
{
    makes_one_args args = {.scope = {0}};
    brood_process child;
    brood_shm shm;
    fresh_name(args.n.name);
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&child, members_methods[_i], makes_one, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    members_kill(child);
    brood_test_ok(brood_shm_attach(&shm, args.n.name, NULL));
    ck_assert_str_eq(brood_shm_data(shm, NULL), "made");
    brood_test_ok(brood_shm_close(shm));
    ck_assert(exists(args.n.name));
    brood_test_ok(brood_fini());
    ck_assert(!exists(args.n.name));
}
END_TEST

START_TEST(scope_unlinks)
{
    makes_one_args args;
    brood_process child;
    fresh_name(args.n.name);
    brood_test_ok(brood_event_new(&args.ready));
    brood_test_ok(brood_scope_begin(&args.scope));
    members_start(&child, members_methods[_i], makes_one, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    members_kill(child);
    ck_assert(exists(args.n.name));
    brood_test_ok(brood_scope_end(args.scope));
    ck_assert(!exists(args.n.name));
    brood_shm shm;
    ck_assert_int_eq(brood_shm_create(&shm, 1, &(brood_shm_options){.scope = args.scope}, NULL), BROOD_ESTALE);
}
END_TEST

/* The sweep after some death comes between the two halves of an end, and has not come to the name yet. */
START_TEST(scope_ends_amid_a_sweep)
{
    struct names n;
    brood_scope scope;
    brood_shm shm;
    char *data;
    fresh_name(n.name);
    brood_test_ok(brood_scope_begin(&scope));
    brood_test_ok(brood_shm_create(&shm, 5000, &(brood_shm_options){.name = n.name, .scope = scope}, (void **)&data));
    ck_assert(brood__slot_retire(TABLE_SCOPE, scope.id));
    atomic_store(&brood__slot_at(TABLE_NAMED, HANDLE_INDEX(shm.id))->word,
                 SLOT_WORD(HANDLE_GENERATION(shm.id), SLOT_GARBAGE, OWNER_FREED));
    brood__names_end_scope(scope.id);
    ck_assert(!exists(n.name));
    ck_assert_ptr_null(brood__slot_find(TABLE_NAMED, shm.id));
    brood__slot_release(TABLE_SCOPE, HANDLE_INDEX(scope.id));
    data[4999] = 1; /* it is mapped still */
}
END_TEST

BROOD_TASK(has_a_scope, int, struct names, n, brood_event, ready)
{
    brood_shm shm;
    brood_scope scope;
    MUST(brood_scope_begin(&scope) == 0);
    MUST(brood_shm_create(&shm, 5000, &(brood_shm_options){.name = n.name, .scope = scope}, NULL) == 0);
    MUST(brood_event_set(ready) == 0);
    for (;;) pause();
}

START_TEST(scope_unlinks_when_its_owner_dies)
{
    has_a_scope_args args;
    brood_process child;
    brood_shm shm;
    fresh_name(args.n.name);
    brood_test_ok(brood_event_new(&args.ready));
    members_start(&child, members_methods[_i], has_a_scope, &args);
    brood_test_ok(brood_event_wait(args.ready, PATIENCE));
    brood_test_ok(brood_shm_attach(&shm, args.n.name, NULL)); /* we have it mapped: it goes all the same */
    members_kill(child);
    goes(args.n.name);
    ck_assert_ptr_nonnull(brood_shm_data(shm, NULL));
}
END_TEST

START_TEST(persistent_stays)
{
    brood_shm shm;
    char name[64];
    brood_test_ok(brood_shm_create(&shm, 10, &(brood_shm_options){.name = fresh_name(name), .persist = true}, NULL));
    brood_test_ok(brood_fini());
    ck_assert(exists(name));
    brood_test_ok(brood_init(NULL, NULL));
    brood_test_ok(brood_shm_attach(&shm, name, NULL));
    brood_test_ok(brood_shm_unlink(shm));
    brood_test_ok(brood_shm_close(shm));
    ck_assert(!exists(name));
}
END_TEST

/* --------------------------------------------------------------------------------------------------- other families */

/* Another family: its first process, and what it tells. */
struct family {
    pid_t pid, supervisor;
    int tell[2], hear[2];
};

static void family_say(int fd, char c)
{
    ck_assert_int_eq(write(fd, &c, 1), 1);
}
static char family_listen(int fd)
{
    char c = 0;
    return read(fd, &c, 1) == 1 ? c : 0;
}

BROOD_TASK(maps_it, int, brood_shm, shm)
{
    MUST(brood_shm_data(shm, NULL) != NULL);
    for (;;) pause();
}

/* What it is: makes (or attaches) the name, has a member that maps it too, and waits; then it ends as it is told. */
static void family_life(struct family *f, const char *name, bool makes)
{
    brood_shm shm;
    brood_process child;
    int error = brood_init(NULL, NULL);
    if (error == 0)
        error = makes ? brood_shm_create(&shm, 9000, &(brood_shm_options){.name = name}, NULL)
                      : brood_shm_attach(&shm, name, NULL);
    brood_process_options options = {.daemon = true, .method = BROOD_START_FORKSERVER};
    if (error == 0 && makes) error = brood_process_start(&child, &options, maps_it, &shm);
    f->supervisor = error == 0 ? atomic_load(&brood__arena()->supervisor.pid) : 0;
    if (write(f->tell[1], &f->supervisor, sizeof f->supervisor) < 0) _exit(1);
    char c = family_listen(f->hear[0]);
    if (c == 'f') brood_fini();
    _exit(error != 0);
}

static void family_start(struct family *f, const char *name, bool makes)
{
    ck_assert_int_eq(pipe2(f->tell, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(f->hear, O_CLOEXEC), 0);
    f->pid = fork();
    if (f->pid == 0) {
        close(f->hear[1]);
        family_life(f, name, makes);
    }
    ck_assert_int_eq(read(f->tell[0], &f->supervisor, sizeof f->supervisor), sizeof f->supervisor);
    ck_assert_int_gt(f->supervisor, 0);
}

static void family_gone(struct family *f)
{
    int status;
    ck_assert_int_eq(waitpid(f->pid, &status, 0), f->pid);
    close(f->tell[0]), close(f->tell[1]), close(f->hear[0]), close(f->hear[1]);
}

/* All at once, and the supervisor can do nothing more; what they used is used no more when this returns. */
static void family_is_killed(struct family *f)
{
    kill(f->supervisor, SIGSTOP);
    kill(f->pid, SIGKILL);
    kill(f->supervisor, SIGKILL);
    family_gone(f);
    while (waitpid(-1, NULL, 0) > 0) {} /* this process is the reaper of its orphans */
}

/* _i: by fini; by its end; killed */
static void family_ends(struct family *f, int how)
{
    if (how == 2) kill(f->pid, SIGKILL);
    if (how < 2) family_say(f->hear[1], how == 0 ? 'f' : 'e');
    family_gone(f);
}

START_TEST(goes_with_the_family)
{
    struct family f;
    char name[64];
    family_start(&f, fresh_name(name), true);
    ck_assert(exists(name));
    family_ends(&f, _i);
    goes(name);
}
END_TEST

/* All at once, its supervisor too: the next family to start a supervisor removes it. */
START_TEST(the_next_family_sweeps)
{
    struct family f;
    char name[64];
    family_start(&f, fresh_name(name), true);
    family_is_killed(&f);
    ck_assert(exists(name));
    brood_shm shm;
    brood_test_ok(brood_shm_create(&shm, 1, NULL, NULL));
    goes(name);
    brood_test_ok(brood_shm_unlink(shm));
}
END_TEST

/* _i: how the first ends, and three times how the second does */
START_TEST(stays_for_a_second_family)
{
    struct family first, second;
    char name[64];
    family_start(&first, fresh_name(name), true);
    family_start(&second, name, false);
    family_ends(&first, _i % 3);
    for (int i = 0; i < 50; i++) {
        ck_assert(exists(name));
        usleep(2000);
    }
    brood_shm shm;
    brood_test_ok(brood_shm_attach(&shm, name, NULL)); /* and a third can have it */
    brood_test_ok(brood_shm_close(shm));
    ck_assert(exists(name));
    family_ends(&second, _i / 3);
    goes(name);
}
END_TEST

START_TEST(the_second_ends_first)
{
    struct family first, second;
    char name[64];
    family_start(&first, fresh_name(name), true);
    family_start(&second, name, false);
    family_ends(&second, _i);
    usleep(50000);
    ck_assert(exists(name));
    family_ends(&first, 2);
    goes(name);
}
END_TEST

START_TEST(two_families_have_their_own)
{
    struct family a, b;
    char one[64], two[64];
    family_start(&a, fresh_name(one), true);
    family_start(&b, fresh_name(two), true);
    family_ends(&a, _i);
    goes(one);
    ck_assert(exists(two));
    family_is_killed(&b);
    family_start(&a, fresh_name(one), true); /* begins with a sweep */
    goes(two);
    ck_assert(exists(one));
    family_ends(&a, 2);
    goes(one);
}
END_TEST

/* Its supervisor alone: another takes the ledger, and the name goes at the end. */
START_TEST(another_supervisor_goes_on)
{
    struct os_process supervisor;
    brood_shm shm;
    brood_process child;
    char name[64];
    brood_test_ok(brood_shm_create(&shm, 1, &(brood_shm_options){.name = fresh_name(name)}, NULL));
    supervisor.pid = atomic_load(&brood__arena()->supervisor.pid);
    supervisor.started = brood__arena()->supervisor.started;
    kill(supervisor.pid, SIGKILL);
    for (int i = 0; i < PATIENCE && brood__os_process_alive(&supervisor); i++) usleep(1000);
    members_start(&child, BROOD_START_FORKSERVER, maps_it, &shm);
    ck_assert(exists(name));
    members_kill(child);
    ck_assert(exists(name));
    brood_test_ok(brood_fini());
    ck_assert(!exists(name));
}
END_TEST

static Suite *shm_suite(void)
{
    Suite *suite = suite_create("shm");
    TCase *alone = brood_test_case(suite, "alone");
    tcase_add_test(alone, has_a_name_and_its_size);
    tcase_add_test(alone, closed_is_mapped_again);
    tcase_add_test(alone, names_are_checked);
    tcase_add_test(alone, mode_is_as_asked);
    tcase_add_test(alone, forged_is_stale);
    tcase_add_test(alone, names_go_with_fini);
    TCase *system = brood_test_case(suite, "system");
    tcase_add_test(system, a_full_folder_is_a_code);
    tcase_add_test(system, limits_are_codes);
    tcase_add_test(system, cut_is_corrupt);
    tcase_add_test(system, strangers_segments_stay);
    TCase *others = brood_test_case(suite, "others");
    tcase_add_loop_test(others, members_share, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, outlives_its_maker, 0, MEMBERS_METHODS);
    tcase_add_loop_test(others, scope_unlinks, 0, MEMBERS_METHODS);
    tcase_add_test(others, scope_ends_amid_a_sweep);
    tcase_add_loop_test(others, scope_unlinks_when_its_owner_dies, 0, MEMBERS_METHODS);
    tcase_add_test(others, persistent_stays);
    TCase *families = brood_test_case(suite, "families");
    tcase_add_loop_test(families, goes_with_the_family, 0, 3);
    tcase_add_test(families, the_next_family_sweeps);
    tcase_add_loop_test(families, stays_for_a_second_family, 0, 9);
    tcase_add_loop_test(families, the_second_ends_first, 0, 3);
    tcase_add_loop_test(families, two_families_have_their_own, 0, 3);
    tcase_add_test(families, another_supervisor_goes_on);
    return suite;
}

BROOD_TEST_MAIN(shm_suite)
