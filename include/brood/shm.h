/* SPDX-License-Identifier: MIT */
/*
 * shm.h - named shared memory: for strangers too.
 *
 * A segment is what shm_open(3) opens: bytes behind a name, of exactly the size asked for, that any program can map,
 * Python's SharedMemory(name) among them.  Members of one family need no name: buffers, values and arrays have none.
 *
 * The name goes when it is unlinked, or with the family that made it, by whatever it ended; but not while another
 * family has the segment mapped: then it goes when that one ends.  If a whole family was killed at once, its supervisor
 * too, the next one on this machine to start a supervisor removes what is left.  A program that is not Brood's and maps
 * a segment keeps its mapping, as ever with unlink; only the name is gone.
 *
 * All memory is there when a segment is made: a full /dev/shm is an error of brood_shm_create, never a SIGBUS later.
 * But who has the right to write to the file can cut it: then what it cut off is SIGBUS to all.
 *
 * A handle means the same in every member; each maps the segment when it first asks for its data, by its name.
 */
#ifndef BROOD_SHM_H
#define BROOD_SHM_H

#include <brood/base.h>
#include <brood/scope.h>

typedef struct brood_shm {
    uint64_t id;
} brood_shm;

#define BROOD_SHM_NAME 256 /* bytes of a name with its end */

typedef struct brood_shm_options {
    const char *name;  /* without '/', but for one in front, which means nothing; NULL: a new one.  create alone */
    unsigned mode;     /* who may open it, as chmod(2); 0: 0600.  create alone */
    bool persist;      /* the name stays until it is unlinked, whatever becomes of the family.  create alone */
    bool read_only;    /* map it to be read; to write there is SIGSEGV.  attach alone */
    brood_scope scope; /* unlinked at the end of this scope; not with persist.  create alone */
} brood_shm_options;

BROOD_BEGIN

/*
 * Make a segment of `size` bytes of zeroes, and its name; it is the family's.  options may be NULL.
 * data: if not NULL, gets its address in this process.
 * 0; -EEXIST: the name is taken; -ENOSPC, BROOD_ENOMEM, -EFBIG (RLIMIT_FSIZE too, without its signal), BROOD_EMFILE,
 * -EACCES: as the system says; BROOD_EINVAL: a size of 0, or no good name; BROOD_EARENA; BROOD_ESTALE, BROOD_ECLOSED:
 * the scope is over; what brood_process_start answers when there is no supervisor; BROOD_ENOTMEMBER.
 * Starts the supervisor.  Thread-safe, not async-signal-safe.
 * A process that dies inside leaves nothing, or the segment, which goes with the family.
 */
BROOD_API int brood_shm_create(brood_shm *shm, size_t size, const brood_shm_options *options, void **data);

/*
 * Map a segment that anybody has made, by its name; options may be NULL.
 * 0; -ENOENT: there is no such name; -EACCES; BROOD_EINVAL: no good name, or an empty file; BROOD_ECORRUPT: somebody has
 * cut it since a family made it; BROOD_EAGAIN: it is being removed; others as brood_shm_create.
 * The handle is this process's, until brood_shm_close or its death, if no member of the family has made the segment.
 */
BROOD_API int brood_shm_attach(brood_shm *shm, const char *name, const brood_shm_options *options);

/*
 * Its address in this process, which maps it if it has not, and its size (not NULL) as it was made.  NULL, and
 * brood_error_detail says why: a stale handle, a name that is gone or leads elsewhere, no memory.
 * Good until this process calls brood_shm_close, also when the name is gone.
 */
BROOD_API void *brood_shm_data(brood_shm shm, size_t *size);

/* Its name, cut to capacity with its end, without a '/' in front.  The length; BROOD_ESTALE, BROOD_ENOTMEMBER. */
BROOD_API int brood_shm_name(brood_shm shm, char *name, size_t capacity);

/*
 * Unmap it in this process: pointers into it are bad from then on.  The name and others' mappings stay.
 * 0; BROOD_ESTALE: this process has not mapped it; BROOD_ENOTMEMBER.
 */
BROOD_API int brood_shm_close(brood_shm shm);

/*
 * Remove the name; mappings stay until each process closes its own.  The handle can't be mapped any more.
 * 0; -ENOENT: the name was gone, or leads elsewhere; BROOD_ESTALE: it was unlinked before; BROOD_ECLOSED;
 * BROOD_EAGAIN: another process is removing it; -EACCES; BROOD_ENOTMEMBER.
 */
BROOD_API int brood_shm_unlink(brood_shm shm);

BROOD_END

#endif
