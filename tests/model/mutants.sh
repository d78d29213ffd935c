#!/bin/bash
# SPDX-License-Identifier: MIT
# Proves that the model finds what it is there for: one source at a time is changed so that a rule about waking or
# committing is broken, and a scene must fail.
# mutants.sh SOURCE_ROOT CODE SEARCH [NAME...]   (CODE, SEARCH: the static archives of the model)
# Prints "model-mutants: N points, F failures": N mutants tried, F that lived or could not be made.
set -u
root=$1 code=$2 search=$3
shift 3
only=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tried=0
failed=0

# Thin archives know their members by paths from where they were made.
build=$(cd "$(dirname "$code")/../.." && pwd)
code=$(realpath "$code")
search=$(realpath "$search")

# mutant NAME FILE SED-SCRIPT SCENE...: made by the script from src/FILE, it must fail in one of the scenes.
mutant() {
    local name=$1 file=$2 script=$3
    shift 3
    [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $name "* ]] || return
    tried=$((tried + 1))
    sed -E "$script" "$root/src/$file" >"$work/mutant.c"
    if cmp -s "$work/mutant.c" "$root/src/$file"; then
        echo "mutant $name: the script no longer changes src/$file"
        failed=$((failed + 1))
        return
    fi
    # An object that defines all that a member of the library does is linked in its place.
    if ! (cd "$build" && "${CC:-cc}" -std=gnu11 -O2 -g -w -D_GNU_SOURCE -ftls-model=initial-exec -fvisibility=hidden \
        -fsanitize=thread -fno-builtin-memcpy -fno-builtin-memset \
        -I"$root/include" -I"$root/src" -I"$root/src/$(dirname "$file")" -c -o "$work/mutant.o" "$work/mutant.c" &&
        "${CC:-cc}" -o "$work/model" "$work/mutant.o" -Wl,--whole-archive "$search" -Wl,--no-whole-archive "$code" \
            -Wl,--wrap=memcpy,--wrap=memmove,--wrap=memset -Wl,--build-id -lcbor -lnettle -pthread) 2>"$work/errors"; then
        echo "mutant $name: does not build"
        head -5 "$work/errors"
        failed=$((failed + 1))
        return
    fi
    if timeout 60 "$work/model" "$@" >"$work/out" 2>&1; then
        echo "mutant $name: LIVES through $* ($(tail -n 1 "$work/out"))"
        failed=$((failed + 1))
    elif ! grep -q FAILED "$work/out"; then
        echo "mutant $name: no answer"
        failed=$((failed + 1))
    else
        echo "mutant $name: $(grep -m 1 -v ' states ' "$work/out" | cut -c 1-100)"
    fi
}

# --- announcements: a death between commit and wake-up is told to nobody
mutant lock-unannounced sync/lock.c 's/brood__os_announce\(low_half\)/brood__os_announce(NULL)/' lock/two-one-dies
mutant lock-sleeper-unannounced sync/lock.c \
    '/^static inline int acquire/,/^}/ s/brood__os_announce\(brood__low_half\(&l->word\)\)/NULL/' lock/three-one-dies
mutant lock-quick-release-mute sync/lock.c \
    '/^static inline int release/,/^}/ s/ && !\(LOW\(seen\) & OS_WAITERS\)//' lock/two-one-dies
mutant event-unannounced sync/event.c '/^static int change/,/^}/ s/brood__os_announce\(brood__low_half\(&e->word\)\)/NULL/' \
    event/set

# --- relays and batons: the woken one dies on its way
mutant event-woken-keeps-debt sync/event.c '/^static int wait_for_it/,/^}/ s/if \(LOW\(seen\) & OS_WAITERS\) pay\(e, seen\);//' \
    event/set
mutant monitor-no-baton sync/wait.c 's/latch->flags\[MONITOR_BATON\] = 1;$/;/' semaphore/two-given
mutant monitor-wakes-inside sync/wait.c \
    '/^static void leave_and_wake/,/^}/ { s/^    brood__latch_release.*$/    int woken = wakes ? brood__os_futex_wake(\&latch->word, wake) : 0;\n&/; s/^    int woken = brood__os_futex_wake.*$// }' \
    semaphore/three-one-dies semaphore/woken-die
mutant ring-no-baton queue/ring.c 's/side->flags\[SIDE_BATON\] = 1;/;/' queue/four-consumers queue/two-consumers
mutant ring-wakes-inside queue/ring.c \
    's/^    side->flags\[SIDE_BATON\] = more;/    if (more) brood__os_futex_wake(\&side->word, 1);\n    return (side->flags[SIDE_BATON] = more), false;/' \
    queue/four-consumers

# --- commits
mutant ring-commit-first queue/ring.c \
    's/^    if \(first\) b->first_header = word;/    if (first) { b->first_header = word; atomic_store(header(q, b, b->start), word); }/' queue/one-one queue/batch
mutant ring-tail-no-repair queue/ring.c 's/if \(__builtin_expect\(seen & OS_OWNER_DIED, 0\)\) brood__ring_repair_put\(q\);//' \
    queue/two-producers
mutant ring-relaxed-head queue/ring.c 's/atomic_store_explicit\(&g->head, at, memory_order_release\);/;/' queue/one-one
mutant semaphore-counts-first sync/semaphore.c \
    '/^static int take/,/^}/ { s/^ *set_free\(s, free_units\(s\) - 1\);//; s/(commit\(entry.*)/s->monitor.flags[SEMAPHORE_TOTAL]--; s->monitor.flags[SEMAPHORE_FREE]--; \1 s->monitor.flags[SEMAPHORE_TOTAL]++;/ }' \
    semaphore/two-one-dies

# --- looks before a sleep
mutant event-sleeps-by-half sync/event.c 's/brood__high_half\(&e->word\), HIGH\(seen\)/NULL, 0/' event/pulse-two-wait
mutant ring-sleeps-unseen queue/ring.c '/^static int get_slow/,/^}/ s/if \(result == 0\) result = get_some\(q, sink\);//' \
    queue/one-one
mutant task-waits-unseen pool/future.c \
    '/OS_WAITERS\);/,/brood__sleep/ s/if \(result != 0\) break;//' task/one-worker
mutant answers-wait-unseen pool/answers.c \
    '/OS_WAITERS\);/,/brood__nest_wait/ s/result = look_at\(pool, pool_id, look, of, true\);/result = 0;/' task/any
mutant rest-unseen pool/worker.c 's/bool something = .*$/bool something = leave(pool, pool_id, seat);/' task/one-worker
mutant lock-no-look sync/lock.c 's/if \(brood__sleep\(brood__low_half\(&l->word\), low, /if (brood__sleep(brood__low_half(\&l->word), *(volatile uint32_t *)brood__low_half(\&l->word), /' \
    lock/two

mutant urgent-bit-lost pool/task_run.c 's/if \(is_hinted\(pool, priority\)\) atomic_fetch_or\(&pool->urgent, 1u << priority\);//' \
    task/urgent-two
mutant join-sleeps-unsaid queue/tally.c \
    '/^int brood_queue_join/,/^}/ { s/^ *if \(!done && !late\) atomic_store.*$//; s/^( *)(brood__ring_leave_get\(q, announced\);)$/\1\2\n\1if (!done \&\& !late) atomic_store(\&q->tally.bell, OS_WAITERS);/ }' \
    joinable/one
mutant join-rings-nobody queue/tally.c '/^int brood_queue_task_done/,/^}/ s/if \(all_done\(q\)\) brood__tally_ring\(q\);//' joinable/one

# --- what a death does
mutant join-loss-unsaid queue/queue.c 's/all &= brood__ring_bury\(at\(i\), dead\);/;/' joinable/worker-dies
mutant lock-death-unsaid sync/lock.c 's/OS_OWNER_DIED \| \(LOW/(LOW/' lock/two-one-dies
mutant answers-unrung pool/supervise.c 's/^ *brood__os_futex_clear_and_wake\(&pool->answers\);//' task/any-worker-dies
mutant task-death-unsaid pool/fate.c 's/lose\(pool, pool_id, t, seen, death\);/;/' task/worker-dies

# --- conditions and barriers
mutant condition-untold sync/condition.c 's/if \(told && \(LOW\(seen\) & OS_WAITERS\)\) brood__os_futex_wake\(half, 1\);//' condition/two
mutant condition-tells-unannounced sync/condition.c '/^static bool tell/,/^}/ s/brood__os_announce\(half\)/brood__os_announce(NULL)/' \
    condition/weak condition/two-one-dies
mutant condition-waits-late sync/condition.c \
    's/struct waiter_shm \*w = error == 0 \? claim\(c\) : NULL;/static struct waiter_shm none; struct waiter_shm *w = \&none;/; s/error = brood__lock_let_go\(lock, &depth\);.*/error = brood__lock_let_go(lock, \&depth); brood__monitor_enter(\&c->monitor, \&announced); w = claim(c); leave(c, announced);/' \
    condition/two
mutant condition-death-unsaid sync/lock.c 's/^( *)count_death\(l\);/\1;/; s/if \(orphan\) count_death\(l\);//' condition/two-one-dies
mutant condition-death-said-late sync/lock.c 's/if \(orphan\) count_death\(l\);//' condition/heir
mutant condition-keeps-word sync/condition.c '/^static void bury/,/^}/ s/while \(LOW\(seen\) == WAITER_NOTIFIED/while (0/' condition/passed-on
mutant barrier-old-round-sleeps sync/barrier.c 's/\(os_word \*\)\(void \*\)&b->state \+ 1, ROUND\(state\)/NULL, 0/' barrier/two
mutant barrier-clears-baton sync/barrier.c 's/if \(b->monitor.flags\[MONITOR_BATON\] && .*\{$/if (0) {/' barrier/next-round-dies
mutant barrier-death-unsaid sync/barrier.c 's/if \(hit\) break_round\(b\);//' barrier/two-one-dies
mutant barrier-heir-believes sync/barrier.c '/^static int enter/,/^}/ s/if \(heir\) inherit\(b\);//; s/if \(seen & OS_OWNER_DIED\) inherit\(b\);//' \
    barrier/reset
mutant barrier-resets-untold sync/barrier.c 's/PLACE\(round, PLACE_TOLD, MEMBER\(word\)\)/PLACE(round, PLACE_WAITS, MEMBER(word))/' \
    barrier/reset

# --- fences
mutant rest-unfenced pool/worker.c '/^static bool rest/,/^}/ s/atomic_thread_fence\(memory_order_seq_cst\);/;/' task/weak

# --- looks without a latch
mutant visit-unseen arena/visit.c '/^bool brood__visited/,/^}/ s/== id\) return true;/== id) continue;/' visit/add-and-free
mutant visit-no-second-look arena/visit.c '/^void \*brood__visit_begin/,/^}/ s/if \(word_is_live\(word, id\)\) return slot;/return slot;/' \
    visit/add-and-free
mutant scope-end-unseen shared/shared.c '/^int brood__shared_make/,/^}/ s/brood__shared_free\(plan->what, made\);/;/' \
    scope/make-and-end
mutant scope-not-repaired shared/shared.c 's/&& scope && !brood__slot_find\(TABLE_SCOPE, scope\)\)/\&\& 0)/' scope/make-and-end
mutant list-get-believes shared/slots.c 's/if \(atomic_load_explicit\(&slot->turn, memory_order_relaxed\) == turn\) return error;/return error;/' \
    list/set-and-get
mutant list-commits-early shared/slots.c 's/turn \+ 1, memory_order_release\)/turn + 1, memory_order_relaxed)/' list/weak

# --- who holds what
mutant pipe-end-unseen queue/ring.c 's/return q->peer && !brood__movable_find\(q->peer\);/return false;/' pipe/close
mutant pipe-end-before-the-last queue/ring.c \
    '/^static int get\(/,/^}/ s/if \(result == 0 && !producers_asleep\) result = get_some/if (closed \&\& result == 0) result = BROOD_ECLOSED; else if (result == 0 \&\& !producers_asleep) result = get_some/' \
    pipe/send-and-close
mutant pipe-close-unsaid pipe/pipe.c '/^static void call_end/,/^}/ s/if \(q\) brood__ring_call\(q\);/;/' pipe/close
mutant give-at-once call/movable.c 's/bool there = is_there\(member\);/bool there = true;/' pipe/give
mutant give-unannounced call/movable.c '/^static void repair/,/^}/ s/else if \(given .*$/else if (0)/' pipe/give
mutant moves-late queue/ring.c 's/brood__movable_send\(source->moved\[i\], place\);/;/' pipe/move

echo "model-mutants: $tried points, $failed failures"
[ $failed -eq 0 ]
