#!/bin/bash
# SPDX-License-Identifier: MIT
# Proves that kill finds what it is there for: one source at a time is changed so that a rule about
# deaths is broken, linked with the scenes, and the scene that watches over the rule must fail.
# mutants.sh SOURCE_ROOT LIBRARY SCENES [NAME...]   (LIBRARY, SCENES: static archives)
# Prints "mutants: N points, F failures": N mutants tried, F that lived or could not be made.
set -u
root=$1 library=$2 scenes=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tried=0
failed=0
whole=

# mutant NAME FILE SED-SCRIPT SCENE...: made by the script from src/FILE, it must fail in one of the scenes.
mutant() {
    local name=$1 file=$2 script=$3 status
    shift 3
    [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $name "* ]] || return
    tried=$((tried + 1))
    sed -E $whole "$script" "$root/src/$file" >"$work/mutant.c"
    if cmp -s "$work/mutant.c" "$root/src/$file"; then
        echo "mutant $name: the script no longer changes src/$file"
        failed=$((failed + 1))
        return
    fi
    # An object that defines all that a member of the library does is linked in its place.
    if ! "${CC:-cc}" -std=gnu11 -O2 -g -w -D_GNU_SOURCE -ftls-model=initial-exec -fvisibility=hidden \
        -I"$root/include" -I"$root/src" -I"$root/src/$(dirname "$file")" -o "$work/kill" "$work/mutant.c" \
        -Wl,--whole-archive "$scenes" -Wl,--no-whole-archive "$library" \
        -Wl,-z,now -Wl,--build-id -lcbor -pthread 2>"$work/errors"; then
        echo "mutant $name: does not build"
        head -5 "$work/errors"
        failed=$((failed + 1))
        return
    fi
    timeout 120 "$work/kill" --stop "$@" >"$work/out" 2>&1
    status=$?
    if [ $status -eq 0 ]; then
        echo "mutant $name: LIVES through $* ($(tail -n 1 "$work/out"))"
        failed=$((failed + 1))
    else
        echo "mutant $name: killed by$(grep -m 1 -- ' --at ' "$work/out" | sed -E 's/ --at .*\): / (/; s/ --at [0-9,]*: / (/' |
            cut -c 2-110))"
    fi
}
only=("$@")

# --- pages and slots
mutant pages-no-heir arena/pages.c 's/if \(seen & OS_OWNER_DIED\) repair\(\);//' pages/allocate
mutant pages-half-allocated arena/pages.c 's/if \(owner->body != s->heap .*\) \{/if (0) {/' pages/allocate pages/free
mutant slot-keeps-body arena/slot.c 's/if \(slot->body && brood__pages_free.*$/;/' buffer/free buffer/new

# --- locks
mutant lock-release-unannounced sync/lock.c 's/brood__os_announce\(low_half\)/brood__os_announce(NULL)/' \
    lock/release-foreign-two-asleep
mutant lock-acquire-unannounced sync/lock.c \
    '/^int brood_lock_acquire/,/^}/ s/brood__os_announce\(brood__low_half\(&l->word\)\)/NULL/' lock/acquire-woken lock/chain
mutant lock-mark-lost sync/lock.c 's/\(low & OS_WAITERS\) \| slept\)/slept)/' lock/acquire-overtaken
mutant lock-death-unsaid sync/lock.c 's/OS_OWNER_DIED \| \(LOW/(LOW/' lock/acquire
mutant lock-garbage-unsaid sync/lock.c '/^static bool scrub/,/^}/ s/retire_word\(.*\);/;/' lock/garbage-reused
mutant lock-turns-uncounted sync/lock.c 's/TURN\(seen\) \+ 1, low/TURN(seen), low/' stalled/lock-release
mutant lock-stale-keeps-wake sync/lock.c 's/if \(slept && is_stale.*$/;/' stalled/lock-acquire-stale

# --- monitors and semaphores
mutant monitor-unannounced sync/wait.c 's/\*announced = brood__os_announce\(latch\);/*announced = NULL;/' \
    semaphore/release-own-two-asleep
mutant monitor-heir-asks-nobody sync/wait.c '/^int brood__monitor_enter/,/^}/ s/latch->flags\[MONITOR_BATON\] = 1;//' \
    semaphore
mutant monitor-no-baton sync/wait.c '/^static void wake_some/,/^}/ s/latch->flags\[MONITOR_BATON\] = 1;//' stalled
mutant semaphore-heir-believes sync/semaphore.c 's/if \(heir\) add_up\(s\);//' semaphore/release-own-two-asleep
mutant semaphore-counts-first sync/semaphore.c \
    '/^static int take/,/^}/ { s/^ *s->free_units--;//; s/(commit\(entry.*)/s->total--; s->free_units--; \1 s->total++;/ }' \
    semaphore/acquire

# --- events
mutant event-set-unannounced sync/event.c '/^static int change/,/^}/ s/brood__os_announce\(brood__low_half\(&e->word\)\)/NULL/' \
    event/set
mutant event-woken-keeps-debt sync/event.c '/^static int wait_for_it/,/^}/ s/if \(LOW\(seen\) & OS_WAITERS\) pay\(e, seen\);//' \
    event/set event/chain
mutant event-woken-unannounced sync/event.c '/^int brood_event_wait/,/^}/ s/brood__os_announce\(brood__low_half\(&e->word\)\)/NULL/' \
    event/chain

# --- queues and buffers
whole=-z # the script sees the file as one line
mutant ring-tail-first queue/ring.c \
    's/(\*\([^)]*\)&PUT_SEQUENCE\(q\) =[^;]*b->sequence;)([^;]*)(\*\([^)]*\)&PUT_TAIL\(q\) = b->at;)/\3 \1/' \
    queue/put-consumers-asleep
whole=
mutant ring-no-heir queue/ring.c 's/if \(__builtin_expect\(seen & OS_OWNER_DIED, 0\)\) repair_put\(q\);//' queue/put
mutant ring-heir-no-baton queue/ring.c '/^static void repair_get/,/^}/ s/q->get.flags\[SIDE_BATON\] = 1;//' queue
mutant ring-wake-unannounced queue/ring.c '/^static int release_first/,/^}/ s/brood__os_announce\(side\);//' \
    queue/put-consumers-asleep queue/get-producers-asleep
mutant ring-terminator-late queue/ring.c 's/^ *atomic_store_explicit\(header\(q, b->at\), 0, memory_order_relaxed\);.*$//' queue/put
mutant ring-batch-in-parts queue/ring.c 's/if \(first\) b->first_header = word;/if (first) { b->first_header = word; atomic_store(header(q, b->start), word); }/' \
    queue/put-batch
mutant ring-close-tells-one queue/ring.c 's/pass_baton\(&q->get, gone \|\| closed \|\| /pass_baton(\&q->get, /; s/bool more = gone \|\| closed \|\| /bool more = /' \
    queue/close-three-asleep
mutant buffer-moves-late queue/ring.c 's/brood__buffer_mark\(b, BUFFER_RECEIVED, brood__self->member\);/;/' buffer/get buffer/taken-over
mutant buffer-by-place-alone queue/ring.c 's/return record.buffer_id == buffer_id;/return true;/' buffer/put
mutant buffer-put-unmarked queue/ring.c 's/brood__buffer_mark\(source->buffer, BUFFER_TRANSIT.*$/;/' buffer/put

# --- pools
mutant submit-unannounced pool/task.c 's/brood__os_announce\(&p->idle\)/NULL/' pool/submit
mutant answer-unannounced pool/task.c '/^void brood__task_run/,/^}/ s/brood__os_announce\(&t->bell\)/NULL/' pool/worker
mutant task-death-unsaid pool/fate.c 's/lose\(pool, pool_id, t, seen, death\);/;/' pool/worker
mutant task-of-the-dead pool/fate.c 's/if \(t->submitter != dead\) continue;/continue;/' pool/submit
mutant map-record-in-place pool/map.c 's/&c->record\[!CHUNK_RECORD\(word\)\]/\&c->record[CHUNK_RECORD(word)]/' pool/map-worker
mutant map-end-unannounced pool/map.c '/^static int64_t run_some/,/^}/ s/brood__os_announce\(&job->bell\)/NULL/' pool/map-worker
mutant map-item-twice pool/map.c 's/if \(running > r->next && running <= c->end\) r->next = running;//' pool/map-worker

# --- what becomes of tasks
mutant cancel-unannounced pool/fate.c '/^bool brood__task_cancel/,/^}/ s/brood__os_announce\(&t->bell\)/NULL/' fate/cancel
mutant deadline-kills-once pool/fate.c 's/^ *if \(state == TASK_KILLING \|\| state == TASK_DOOMED\)$/if (over \&\& state == TASK_KILLING \&\& TASK_STATE(word) == TASK_RUNNING)/' \
    fate/deadline
mutant queued-again-unhinted pool/fate.c '/^void brood__task_hint_all/,/^}/ s/== TASK_QUEUED/== TASK_FREE/' fate/again
mutant again-out-of-turn pool/fate.c 's/&& put_off\(pool, t, seen\)/\&\& (t->attempts_are_lost, 0)/; s/t->attempts_are_lost/t->retries/' fate/again

echo "mutants: $tried points, $failed failures"
[ $failed -eq 0 ]
