#!/bin/bash
# SPDX-License-Identifier: MIT
# Proves that kill finds what it is there for: one source at a time is changed so that a rule about
# deaths is broken, linked with the scenes, and the scene that watches over the rule must fail.
# mutants.sh SOURCE_ROOT LIBRARY SCENES [NAME...]   (LIBRARY, SCENES: static archives)
# Prints "mutants: N points, F failures": N mutants tried, F that lived or could not be made.
set -u
root=$1 library=$2 scenes=$3
shift 3
only=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
jobs=${JOBS:-$(nproc)}
whole=

# One mutant, from its text to its end; says so, and leaves a mark in `work` if it lives.
try() {
    local name=$1 file=$2 script=$3 own=$work/$1 status
    shift 3
    mkdir "$own"
    sed -E $whole "$script" "$root/src/$file" >"$own/mutant.c"
    if cmp -s "$own/mutant.c" "$root/src/$file"; then
        echo "mutant $name: the script no longer changes src/$file"
        touch "$own.lives"
        return
    fi
    # An object that defines all that a member of the library does is linked in its place.
    if ! "${CC:-cc}" -std=gnu11 -O2 -g -w -D_GNU_SOURCE -ftls-model=initial-exec -fvisibility=hidden \
        -I"$root/include" -I"$root/src" -I"$root/src/$(dirname "$file")" -o "$own/kill" "$own/mutant.c" \
        -Wl,--whole-archive "$scenes" -Wl,--no-whole-archive "$library" \
        -Wl,-z,now -Wl,--build-id -lcbor -lnettle -pthread 2>"$own/errors"; then
        echo "mutant $name: does not build"
        head -5 "$own/errors"
        touch "$own.lives"
        return
    fi
    timeout 300 "$own/kill" --jobs 1 --stop "$@" >"$own/out" 2>&1
    status=$?
    # Pairs are drawn by lot: ten times as many, before it is said to live.
    if [ $status -eq 0 ]; then
        timeout 300 "$own/kill" --jobs 1 --stop --all "$@" >"$own/out" 2>&1
        status=$?
    fi
    if ! grep -q -- ' --at ' "$own/out"; then
        echo "mutant $name: LIVES through $*, status $status ($(tail -n 1 "$own/out"))"
        touch "$own.lives"
    else
        echo "mutant $name: caught by$(grep -m 1 -- ' --at ' "$own/out" |
            sed -E 's/ --at .*\): / (/; s/ --at [0-9,]*: / (/' | cut -c 2-110))"
    fi
    rm -rf "$own"
}

# mutant NAME FILE SED-SCRIPT SCENE...: made by the script from src/FILE, it must fail in one of the scenes.
tried=0
mutant() {
    [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $1 "* ]] || return
    tried=$((tried + 1))
    [ $((tried > jobs)) -eq 0 ] || wait -n
    try "$@" &
}

# --- pages and slots
mutant pages-no-heir arena/pages.c 's/if \(seen & OS_OWNER_DIED\) repair\(\);//' pages/allocate
mutant pages-half-allocated arena/pages.c 's/if \(owner->body != s->heap .*\) \{/if (0) {/' pages/allocate pages/free
mutant slot-keeps-body arena/slot.c 's/bool kept = slot->body .*$/bool kept = false;/' buffer/free buffer/new

mutant slot-claims-forgotten process/repair.c 's/\(state != SLOT_INIT && state/(state/' slot/claim
mutant slot-retires-at-first-only arena/slot.c 's/while \(SLOT_GENERATION\(word\) == HANDLE_GENERATION\(id\)/if (SLOT_GENERATION(word) == HANDLE_GENERATION(id)/' \
    collection/free-held
mutant member-starts-forgotten process/repair.c 's/SLOT_STATE\(word\) == SLOT_INIT \|\| //' member/claim
mutant member-attaches-late arena/member.c 's/if \(SLOT_STATE\(word\) != SLOT_INIT \|\| .*return false;//' member/attach
mutant two-latches-unlisted os/linux/robust.c '/^void brood__os_robust_link/,/^}/ s/\*next_of\(head\) = node;//' \
    queue/put-consumers-asleep queue/two

# --- locks
mutant lock-release-unannounced sync/lock.c 's/brood__os_announce\(low_half\)/brood__os_announce(NULL)/' \
    lock/release-foreign-two-asleep
mutant lock-acquire-unannounced sync/lock.c \
    '/^static inline int acquire/,/^}/ s/brood__os_announce\(brood__low_half\(&l->word\)\)/NULL/' lock/acquire-woken lock/chain
mutant lock-quick-release-mute sync/lock.c \
    '/^static inline int release/,/^}/ s/ && !\(LOW\(seen\) & OS_WAITERS\)//' lock/release-own-two-asleep
mutant lock-mark-lost sync/lock.c 's/\(low & OS_WAITERS\) \| slept\)/slept)/' lock/acquire-overtaken
mutant lock-death-unsaid sync/lock.c 's/OS_OWNER_DIED \| \(LOW/(LOW/' lock/acquire
mutant lock-garbage-unsaid sync/lock.c '/^static bool scrub/,/^}/ s/retire_word\(.*\);/;/' lock/garbage-reused
mutant lock-turns-uncounted sync/lock.c 's/TURN\(seen\) \+ 1, low/TURN(seen), low/' stalled/lock-release
mutant lock-stale-keeps-wake sync/lock.c 's/if \(slept && is_stale.*$/;/' stalled/lock-acquire-stale

mutant lock-release-wakes-unannounced sync/lock.c \
    '/^static int release_slow/,/^}/ s/if \(\(low & OS_WAITERS\) &&/brood__os_announce(announced); if ((low \& OS_WAITERS) \&\&/' \
    lock/release-foreign-two-asleep
mutant lock-heir-not-called sync/lock.c '/^static void repair/,/^}/ s/brood__os_futex_wake\(.*\);/;/' \
    lock/two-held lock/release-own-two-asleep

# --- monitors and semaphores
mutant monitor-unannounced sync/wait.c 's/\*announced = brood__os_announce\(latch\);/*announced = NULL;/' \
    semaphore/release-own-two-asleep
mutant monitor-heir-asks-nobody sync/wait.c 's/brood__monitor_inherit\(latch\);/atomic_store(brood__monitor_asleep(latch), 1u);/' \
    semaphore
mutant monitor-no-baton sync/wait.c '/^static void leave_and_wake/,/^}/ s/latch->flags\[MONITOR_BATON\] = 1;//' stalled
mutant semaphore-heir-believes sync/semaphore.c 's/if \(heir\) add_up\(s\);//' semaphore/release-own-two-asleep
mutant semaphore-counts-first sync/semaphore.c \
    '/^static int take/,/^}/ { s/^ *set_free\(s, free_units\(s\) - 1\);//; s/(commit\(entry.*)/s->monitor.flags[SEMAPHORE_TOTAL]--; s->monitor.flags[SEMAPHORE_FREE]--; \1 s->monitor.flags[SEMAPHORE_TOTAL]++;/ }' \
    semaphore/acquire

mutant monitor-no-relay sync/wait.c 's/if \(ready && wake == 0\) wake = 1;//' stalled/semaphore-woken-dies
mutant semaphore-units-kept sync/semaphore.c '/^static bool repair/,/^}/ s/commit\(&entries\(s\)\[i\], 0\);//' \
    semaphore/release-own-two-asleep semaphore/repair

# --- recursive locks, conditions and barriers
mutant rlock-depth-forgotten sync/rlock.c 's/bool last = all \|\| \*depth == 1;/bool last = true;/' rlock/release-two-asleep
mutant condition-tells-unannounced sync/condition.c '/^static bool tell/,/^}/ s/brood__os_announce\(half\)/brood__os_announce(NULL)/' \
    condition/notify-two-wait condition/repair
mutant condition-keeps-word sync/condition.c '/^static void bury/,/^}/ s/while \(LOW\(seen\) == WAITER_NOTIFIED/while (0/' \
    condition/wait-notified
mutant condition-quits-early sync/condition.c \
    's/^( *int again = brood__lock_take_again.*)$/    if (late == 0) atomic_store(\&w->word, 0);\n\1/' condition/wait-notified
mutant condition-death-unsaid sync/condition.c 's/deaths_of\(c->lock\) != c->told/0/' condition/notify-two-wait
mutant condition-heir-uncounted sync/lock.c 's/if \(orphan\) count_death\(l\);//' condition/notify-two-wait
mutant condition-end-untold sync/condition.c '/^static bool repair/,/^}/ s/tell_all\(c, MOST, WAITER_ENDED\);/;/' condition/free-two-asleep
mutant condition-half-made sync/condition.c 's/    c->made = 0;.*$//; s/c->made &&/1 \&\&/; s/ && c->made\)/)/' condition/new
mutant barrier-heir-believes sync/barrier.c 's/if \(heir\) inherit\(b\);//; s/if \(seen & OS_OWNER_DIED\) inherit\(b\);//' barrier/reset
mutant barrier-death-unsaid sync/barrier.c 's/if \(hit\) break_round\(b\);//' barrier/come
mutant barrier-clears-first sync/barrier.c \
    '/^static bool bury/,/^}/ { s/^    if \(hit\) break_round\(b\);//; s/^    return hit;/    if (hit) break_round(b);\n    return hit;/ }' \
    barrier/repair
mutant barrier-clears-baton sync/barrier.c 's/if \(b->monitor.flags\[MONITOR_BATON\] && .*\{$/if (0) {/' barrier/relay
mutant barrier-resets-untold sync/barrier.c 's/PLACE\(round, PLACE_TOLD, MEMBER\(word\)\)/PLACE(round, PLACE_WAITS, MEMBER(word))/' \
    barrier/woken
mutant barrier-half-made sync/barrier.c 's/^ *b->places = 0;.*$//' barrier/new
mutant barrier-forgets-parties sync/barrier.c 's/hit \|= !orderly \|\| /hit |= /' barrier/known

# --- clients of a manager
mutant manager-death-untold manager/type_lock.c 's/l->owner_died = true;//' manager/set
mutant manager-hand-kept manager/server_client.c 's/brood__queue_returned\(s, hand\);/;/' manager/get
mutant manager-holds-kept manager/server_object.c 's/for \(; holds; holds--\) brood__refer_no_more\(s, o\);//' manager/create

# --- dicts and lists in the arena
mutant collection-heir-believes manager/collection_call.c 's/brood__collection_derive\(c\);/;/' dict/set-two dict/set-new
mutant collection-empties-first manager/collection_dict.c \
    's/^( *)(atomic_store_explicit\(&row->value, ref, memory_order_release\);)/\1atomic_store(\&row->value, REF_NONE); \2/' \
    dict/set-replace
mutant collection-counts-first manager/collection_dict.c \
    's/^( *)row->hash = hash;/\1atomic_store(\&b->state, (rows + 1) << 1);\n\1row->hash = hash;/' dict/set-new
mutant collection-moves-in-place manager/collection_list.c \
    '/^static void take_out/,/^}/ { s/bool other = .*;/bool other = false;/; s/ = 0; other && / = 0; /; s/brood__items\(b, true\)/brood__items(b, false)/ }' \
    collection/delete
mutant collection-sorts-in-place manager/collection_list.c \
    '/^static int list_sort/,/^}/ { s/brood__items\(b, true\)\[i\], items/brood__items(b, false)[i], items/; s/commit\(b, size, true\)/commit(b, size, false)/ }' \
    collection/sort
mutant collection-sees-nobody manager/collection.c \
    '/^bool brood__collection_scrub/,/^}/ { s/if \(nobody\) .*;//; s/bool nobody = .*;/bool nobody = true;/ }' collection/free-under
mutant collection-late-caller-leaves-it manager/collection_call.c 's/^( *)if \(error != BROOD_EDEADLK\) give_back.*/\1;/' \
    collection/free-awaited
mutant collection-looks-once manager/collection_call.c 's/^( *)give_back\(at\(HANDLE_INDEX\(object\)\), object\);/\1;/' \
    collection/free-used
mutant collection-grows-in-two manager/collection.c \
    's/^( *)error = brood__pages_move\(/\1brood__pages_free(TABLE_COLLECTION, (uint32_t)(place \/ sizeof *c));\n&/' dict/grow
mutant values-keep-their-buffer manager/collection_queue.c 's/^( *)brood__buffer_drop\(.*/\1(void)index, (void)word;/' \
    values/get-long

# --- events
mutant event-set-unannounced sync/event.c '/^static int change/,/^}/ s/brood__os_announce\(brood__low_half\(&e->word\)\)/NULL/' \
    event/set
mutant event-woken-keeps-debt sync/event.c '/^static int wait_for_it/,/^}/ s/if \(LOW\(seen\) & OS_WAITERS\) pay\(e, seen\);//' \
    event/set event/chain
mutant event-woken-unannounced sync/event.c '/^int brood_event_wait/,/^}/ s/brood__os_announce\(brood__low_half\(&e->word\)\)/NULL/' \
    event/chain

mutant event-clear-forgets-debt sync/event.c 's/, owed = is_set .*;/, owed = false;/' event/set-and-clear
mutant event-end-unsaid sync/event.c '/^bool brood__event_repair/,/^}/ s/retire_word\(.*\);/;/' event/free-two-asleep

# --- queues and buffers
whole=-z # the script sees the file as one line
mutant ring-tail-first queue/ring.c \
    's/(\*\([^)]*\)&p->sequence = b->sequence;)([^;]*)(\*\([^)]*\)&p->tail = b->at;)/\3 \1/' \
    queue/put-consumers-asleep
whole=
mutant ring-no-heir queue/ring.c 's/if \(__builtin_expect\(seen & OS_OWNER_DIED, 0\)\) brood__ring_repair_put\(q\);//' queue/put
mutant ring-heir-no-baton queue/ring.c '/^void brood__ring_repair_get/,/^}/ s/q->get.flags\[SIDE_BATON\] = 1;//' queue
mutant ring-wake-unannounced queue/ring.c '/^static int release_first/,/^}/ s/brood__os_announce\(side\);//' \
    queue/put-consumers-asleep queue/get-producers-asleep
mutant ring-terminator-late queue/ring.c 's/^ *atomic_store_explicit\(header\(q, b, b->at\), 0, memory_order_relaxed\);.*$//' queue/put
mutant ring-batch-in-parts queue/ring.c 's/if \(first\) b->first_header = word;/if (first) { b->first_header = word; atomic_store(header(q, b, b->start), word); }/' \
    queue/put-batch
mutant ring-close-tells-one queue/ring.c 's/leave_side\(&q->get, gone \|\| closed \|\| /leave_side(\&q->get, /; s/bool more = gone \|\| closed \|\| /bool more = /' \
    queue/close-three-asleep
mutant buffer-moves-late call/movable.c 's/ours = word_of\(id, MOVABLE_RECEIVED, brood__self->member\);/ours = word;/' buffer/get buffer/taken-over
mutant buffer-by-place-alone queue/ask.c 's/bool there = record.buffer_id == id;/bool there = true;/' buffer/put
mutant buffer-put-unmarked queue/ring.c 's/if \(source->buffer_id\) brood__movable_send\(source->buffer_id, place\);/;/' buffer/put

mutant ring-commit-before-copy queue/ring.c \
    's/if \(size\) memcpy\(.*$//; s/if \(n\) commit\(q, &b\);/if (n) commit(q, \&b); if (n) for (uint64_t at = b.start, i = 0; i < n \&\& !source->buffer_id; i++) { struct record r; uint32_t its; at = read_record(q, b.lane, at, \&r, \&its); memcpy((void *)(uintptr_t)r.data, source->messages[i].data, r.size); }/' \
    queue/put
mutant ring-no-relay queue/ring.c '/^static void pass_baton/,/^}/ s/if \(brood__os_futex_wake\(&side->word, 1\) > 0\) return;//' stalled/queue-woken-dies
mutant buffer-unsettled queue/queue.c 's/all &= settle\(m, .*\);/;/' buffer/get buffer/put
mutant bell-death-unrung process/repair.c '/^bool brood__repair_member/,/^}/ s/brood__bell_ring_all\(\);//' bell/put
mutant bell-rings-armed-only sync/bell.c 's/if \(armed \|\| all\)/if (armed)/' bell/put
mutant bell-no-second-look queue/ring.c '/^int brood__ring_get/,/^}/ s/result = get\(q, id, sink, 0\);//' bell/listener-stalled

# --- pipes and what moves
mutant pipe-death-unsaid pipe/pipe.c '/^static bool repair/,/^}/ s/all &= brood__ring_ring\(peer\);/;/' pipe/close pipe/repair
mutant pipe-close-unsaid pipe/pipe.c '/^static void call_end/,/^}/ s/if \(q\) brood__ring_call\(q\);/;/' pipe/close
mutant pipe-close-rings-nobody pipe/pipe.c '/^static void call_end/,/^}/ s/brood__bell_ring\(id\);/;/' pipe/close
mutant pipe-end-unseen queue/ring.c 's/return q->peer && !brood__movable_find\(q->peer\);/return false;/' pipe/close
mutant pipe-end-before-the-last queue/ring.c \
    '/^static int get\(/,/^}/ s/if \(result == 0 && !producers_asleep\) result = get_some/if (closed \&\& result == 0) result = BROOD_ECLOSED; else if (result == 0 \&\& !producers_asleep) result = get_some/' \
    pipe/send-and-end
mutant pipe-carrier-keeps pipe/pipe.c 's/while \(sink_with_carriers\(\)\) continue;/;/' pipe/drop pipe/repair pipe/garbage-reused
mutant pipe-carrier-sinks-once pipe/pipe.c 's/while \(sink_with_carriers\(\)\) continue;/sink_with_carriers();/' pipe/drop pipe/repair
mutant pipe-drops-nothing queue/ring.c '/^static void drop\(/,/^}/ s/brood__movable_drop\(record->moved\[i\]\);/;/' pipe/drop
mutant moves-unmarked queue/ring.c 's/brood__movable_send\(source->moved\[i\], place\);/;/' pipe/move
mutant moves-before-commit queue/ring.c 's/if \(brood__movable_receive\(record->moved\[i\]\)\) r->ids/if (brood__movable_receive(record->moved[i]) \&\& (brood__movable_keep(record->moved[i]), 1)) r->ids/' \
    pipe/take
mutant moves-one-of-them queue/ask.c 's/there \|= record.moved\[i\] == id;/there = false;/' pipe/move
mutant moving-kept call/movable.c 's/\|\| state == MOVABLE_MOVING\)/|| 0)/' pipe/move
mutant give-at-once call/movable.c 's/bool there = is_there\(member\);/bool there = true;/' pipe/give-to-the-dead
mutant give-unannounced call/movable.c '/^static void repair/,/^}/ s/else if \(given .*$/else if (0)/' pipe/give-to-the-dead
mutant give-kept call/movable.c '/^static void repair/,/^}/ s/\(given \|\| state/(state/' pipe/give pipe/give-and-die
mutant start-gives-late process/start.c \
    '/^static int let_go/,/^}/ { s/^    int error = 0;/    int error = brood__go_send(channel);/; s/if \(error == 0 && \(error = brood__go_send.*$/if (0) {}/ }' \
    process/start-given
mutant token-redeemed-kept pipe/token.c 's/^    if \(error == 0 \|\| error == BROOD_ELOST\)/    brood__os_close(\&connection);\n&/' token/redeem
mutant token-discarded-kept pipe/token.c '/^void brood__token_drop/,/^}/ s/brood__supervisor_tell\(.*\);/;/' token/discard
mutant token-seized-by-all pipe/token.c '/^static int seize/,/^}/ { s/if \(SLOT_STATE\(word\) != SLOT_LIVE\) return BROOD_EPERM;//; s/return swap\(.*$/return swap(id, SLOT_STATE(word), SLOT_OWNER(word), SLOT_FREEING) ? 0 : BROOD_ESTALE;/ }; s/^    struct movable_shm \*m = HANDLE_TABLE\(id\) == TABLE_TOKEN .*$/    struct movable_shm *m = (void *)at(HANDLE_INDEX(id));/' \
    token/redeem-two

# --- queues that grow, are joined, have priorities
mutant pages-moved-by-both arena/pages.c \
    '/^int brood__pages_move/,/^}/ { s/^.*source->body = 0;.*$//; s/^(.*target->body = body;).*$/\1 *(volatile uint64_t *)\&source->body = 0;/ }' \
    grow/put
mutant pages-moved-unowned arena/pages.c '/^int brood__pages_move/,/^}/ s/^.*write_word\(number.*$/;/' grow/put
mutant grow-unmeasured queue/ring.c 's/^ *brood__ring_measure\(q\);//' grow/put grow/get-shrinks
mutant grow-supervisor-unmeasured queue/ask.c 's/if \(heir\) brood__ring_measure\(q\);//; s/if \(heir\) repair\(q\);//' \
    grow/put-buffer
mutant grow-no-end queue/grow.c 's/^ *atomic_store_explicit\(.*tail & \(capacity - 1\).*$/(void)to;/' grow/put
mutant tally-unintended queue/tally.c '/^void brood__tally_repair/,/^}/ s/^ *store\(&entries\(q\)\[t->taking.*$/;/' joinable/get
mutant tally-intent-believed queue/tally.c 's/ && brood__ring_place\(\(unsigned\)lane, .*>= t->at\)$/)/' joinable/get
mutant tally-taken-first queue/ring.c \
    's/^( *)(if .*brood__tally_took.*)$//; s/^( *)(if .*brood__tally_intend.*)$/\1\2\n\1if (entry) brood__tally_took(q, (uint32_t)n);/' joinable/get
mutant tally-loss-uncounted queue/tally.c '/^void brood__tally_repair/,/^}/ s/atomic_store\(&t->lost, t->lost_then\);$/;/' joinable/repair
mutant tally-heir-rings-nobody queue/tally.c '/^void brood__tally_repair/,/^}/ s/^ *brood__tally_ring\(q\);//' joinable/done
mutant tally-death-unsaid queue/queue.c 's/all &= brood__ring_bury\(at\(i\), dead\);/;/' joinable/get
mutant tally-end-unsaid queue/ring.c 's/if \(q->joinable\) brood__tally_ring\(q\);//' joinable/free
mutant tally-sleeps-unsaid queue/tally.c 's/if \(!done && !late\) atomic_store\(&q->tally.bell, OS_WAITERS\);/;/' joinable/join-stalled joinable/join
mutant priority-asleep-alike queue/ring.c 's/SIDE_ASLEEP_MIXED\] = q->lanes > 1;/SIDE_ASLEEP_MIXED] = 0;/' priority/get-producers-asleep
mutant priority-heir-of-one queue/ring.c '/^void brood__ring_repair_put/,/^}/ s/lane < q->lanes/lane < 1/' priority/put

# --- pools
mutant submit-unannounced pool/task.c 's/brood__os_announce\(&p->idle\)/NULL/' pool/submit
mutant answer-unannounced pool/task_run.c '/^uint32_t brood__task_run/,/^}/ s/brood__os_announce\(&t->bell\)/NULL/' pool/worker
mutant task-death-unsaid pool/fate.c 's/lose\(pool, pool_id, t, seen, death\);/;/' pool/worker
mutant task-of-the-dead pool/fate.c 's/if \(t->submitter != dead\) continue;/continue;/' pool/submit
mutant map-record-in-place pool/map_run.c 's/chunk_other\(c, (\*?word)\)/\&c->record[CHUNK_RECORD(\1)]/' pool/map-worker
mutant map-end-unannounced pool/map_run.c '/^static int64_t run_some/,/^}/ s/brood__os_announce\(&job->bell\)/NULL/' pool/map-worker
mutant map-item-twice pool/map_fate.c 's/if \(running > r->next && running <= c->end\) r->next = running;//' pool/map-worker
mutant task-claim-unnamed pool/task_run.c '/^static bool claim\(/,/^}/ s/attempt & 0xff, brood__self->member/attempt \& 0xff, 0/' \
    pool/worker
mutant task-waiter-no-relay pool/future.c 's/^ *if \(result != 0 && atomic_load\(&t->bell\)\).*$//' pool/answer-chain pool/waiter
mutant task-buffers-unsettled pool/supervise.c 's/^ *settle_buffers\(dead\);//' pool/submit
mutant task-place-emptied-first pool/pool.c \
    's/bool ours = brood__movable_seize\(id\);.*$/*(volatile uint64_t *)place = 0; bool ours = brood__movable_seize(id);/' \
    pool/free-future
mutant task-lost-before-why pool/fate.c \
    '/^static void lose/,/^}/ { s/^    t->code = death->code;//; s/(if \(task_swap\(t, &seen, TASK_WORD.*TASK_DONE.*\))\)$/\1 \&\& (t->code = death->code))/ }' \
    pool/repair-lost
mutant map-lost-in-place pool/map_fate.c \
    '/^static void lose/,/^}/ s/struct chunk_record \*r = chunk_other\(c, seen\);/struct chunk_record *r = \&c->record[CHUNK_RECORD(seen)]; c->record[!CHUNK_RECORD(seen)] = *r;/' \
    pool/repair-lost
mutant pool-joiner-no-relay pool/pool.c 's/^ *if \(error == 0 && atomic_load\(&p->gone.word\)\).*$//' pool/join-chain
mutant map-claim-unnamed pool/map_run.c \
    's/CHUNK_WORD\(CHUNK_RUNNING, CHUNK_RECORD\(seen\), brood__self->member\)/CHUNK_WORD(CHUNK_RUNNING, CHUNK_RECORD(seen), 0)/' \
    pool/map-worker
mutant map-cancelled-once pool/map_run.c 's/bool again = .*;/bool again = false;/' pool/cancel
mutant map-lent-unmarked pool/map_fill.c 's/atomic_store\(&b->lent, 1u\);/;/' map/lent-worker map/lent-freed
mutant map-lent-unnamed pool/map_fill.c 's/atomic_store\(&job->lent\[which\], id\);/;/' map/lent-worker map/lent-freed
mutant map-lent-until-retired pool/job.c 's/if \(JOB_STATE\(word\) == JOB_RETIRED\) return is_occupied.*;/if (JOB_STATE(word) == JOB_RETIRED) return false;/' \
    map/lent-worker
mutant map-calls-unseen pool/job.c '/^bool brood__map_visited/,/^}/ s/calls_inside\(pool, i, .*\) != 0/0/' map/freed
mutant map-calls-uncounted pool/job.c '/^static bool raise_callers/,/^}/ s/&job->callers, &seen, seen \+ 1/\&job->callers, \&seen, seen/' \
    map/freed
mutant map-calls-left pool/job.c '/^static void lower/,/^}/ s/&job->callers, &seen, seen - 1/\&job->callers, \&seen, seen/' map/late
mutant map-calls-of-the-dead pool/map_fate.c \
    '/^void brood__map_repair/,/^}/ s/CALLERS\(JOB_SERIAL\(seen\), 0\)\)\)/callers))/' pool/map-caller map/late
mutant map-kept-by-the-last pool/job.c '/^static void lower/,/^}/ s/JOB_STATE\(word\) == JOB_RETIRED/0/' map/late
mutant map-slot-unsaid pool/map_run.c 's/else if \(job->windowed && .*$/else if (false)/' map/window-worker
mutant map-lost-elsewhere pool/map_fate.c '/^static void lose/,/^}/ s/brood__job_out\(job, c, item\)/((char *)brood__at(job->out) + item * job->result_size)/' \
    map/window-worker
mutant map-window-ends-unsaid pool/map_end.c 's/if \(error < 0\) brood__map_rouse\(pool, window\);//' map/window-closed
mutant map-window-closed-unsaid pool/map.c 's/^ *brood__map_rouse\(\*p, window\);//' map/window-never-opened
mutant map-slot-too-soon pool/window.c 's/if \(\*in_it && !is_whole\(job, \*in_it - 1\)\) continue;//' map/window-worker
mutant map-visitors-unseen pool/job.c 's/^ *if \(is_occupied\(pool, index, serial\)\) return;//' map/late map/lent-worker

# --- processes
mutant process-joiner-no-relay process/join.c 's/^ *if \(result == 0 && atomic_load\(&m->bell.word\)\).*$//' process/join-chain
mutant process-given-back-twice process/join.c 's/if \(atomic_exchange\(&m->released, 1\)\) return BROOD_ESTALE;/atomic_store(\&m->released, 1);/' process/free-twice
mutant process-goes-unwatched process/start.c 's/error = tell_of\(member\);/error = 0;/' process/start
mutant process-goes-at-once process/start.c 's/if \(gets_ends && !brood__go_await\(ends\[1\]\)\) brood__os_exit_now\(127\);//' process/start

# --- what becomes of tasks
mutant nest-never-asks pool/nest.c 's/brood__map_active\(nest->pool\)\) brood__nest_ask\(nest->pool\);/brood__map_active(nest->pool)) (void)0;/' \
    nest/waiter
mutant nest-submits-unasked pool/pool.c 's/if \(help == HELP_WANTED\) brood__nest_ask\(pool\);//' nest/help
mutant nest-help-forgotten pool/supervise.c 's/^ *atomic_store\(&at\(i\)->help, HELP_WANTED\);.*$//' nest/help
mutant nest-seat-still-waits pool/supervise.c '/^static void ended/,/^}/ s/atomic_store\(&seat->waits, 0\);//' nest/waiter
mutant nest-nobody-told pool/nest.c 's/return own && is_told\(nest\) \? BROOD_EDEADLK : 0;/return 0;/' nest/told
mutant nest-left-uncounted pool/supervise.c 's/^ *atomic_compare_exchange_strong\(&pool->help, .*$//' nest/left
mutant spare-waiter-silent pool/nest.c 's/^ *brood__nest_unpark\(nest->pool\);//' spare/worker
mutant spare-death-silent pool/supervise.c '/^static void count_again/,/^}/ s/brood__nest_unpark\(pool\);//' spare/supervisor
mutant spare-successor-silent pool/supervise.c 's/^ *brood__os_futex_clear_and_wake\(&pool->parked\);//' spare/supervisor
mutant spare-closed-silent pool/supervise.c 's/^ *if \(state != POOL_OPEN\) brood__nest_unpark\(pool\);.*$//' spare/supervisor
mutant stream-loss-unplaced pool/fate.c 's/t->ran = running && .*;/t->ran = 0;/' stream/worker
mutant stream-item-unsaid pool/task_run.c 's/^ *atomic_store_explicit\(&t->running, i \+ 1, memory_order_relaxed\);//' stream/worker
mutant stream-rest-runs-twice pool/flow.c 's/uint32_t ends = e->ran \+ \(code < 0\);/uint32_t ends = e->ran;/' stream/worker
mutant answers-rung-by-nobody pool/supervise.c 's/^ *brood__os_futex_clear_and_wake\(&pool->answers\);//' stream/worker
mutant answers-unwoken pool/pool.c 's/^ *if \(atomic_load_explicit\(&pool->answers, .*$//' stream/worker
mutant urgent-bit-lost pool/task_run.c 's/if \(is_hinted\(pool, priority\)\) atomic_fetch_or\(&pool->urgent, 1u << priority\);//' urgent/passed
mutant cancel-unannounced pool/fate.c '/^bool brood__task_cancel/,/^}/ s/brood__os_announce\(&t->bell\)/NULL/' fate/cancel
mutant deadline-kills-once pool/fate.c 's/^ *if \(state == TASK_KILLING \|\| state == TASK_DOOMED\)$/if (over \&\& state == TASK_KILLING \&\& TASK_STATE(word) == TASK_RUNNING)/' \
    fate/deadline
mutant again-out-of-turn pool/fate.c 's/&& put_off\(pool, t, seen\)/\&\& (t->attempts_are_lost, 0)/; s/t->attempts_are_lost/t->retries/' fate/again

# --- shared values, names, lists
mutant visit-unseen arena/visit.c '/^bool brood__visited/,/^}/ s/== id\) return true;/== id) continue;/' value/add-stalled
mutant visit-never-ends arena/visit.c '/^void brood__visit_forget/,/^}/ s/atomic_store\(&m->visits\[c\], 0\)/(void)c/' value/add
mutant visit-after-the-look arena/visit.c '/^void \*brood__visit_begin/,/^}/ s/if \(word_is_live\(word, id\)\) return slot;/return slot;/' \
    value/add-stalled
mutant value-lock-nobodys shared/shared.c 's/^ *atomic_store\(&s->lock, lock.id\);//; s/(brood__slot_give\(TABLE_LOCK, lock.id, OWNER_FAMILY\);)/\1 atomic_store(\&s->lock, lock.id);/' \
    value/new
mutant value-lock-forgotten-first shared/shared.c \
    's/uint64_t lock = atomic_load\(&s->lock\); \/\*.*$/uint64_t lock = atomic_exchange(\&s->lock, 0);/' value/free-two-asleep
mutant value-lock-end-unsaid shared/shared.c 's/return locks \? brood__lock_repair\(dead\) : true;/return true;/' value/repair value/free-two-asleep
mutant scope-end-unseen shared/shared.c '/^int brood__shared_make/,/^}/ s/brood__shared_free\(plan->what, made\);/;/' scope/make
mutant scope-not-repaired shared/shared.c 's/&& scope && !brood__slot_find\(TABLE_SCOPE, scope\)\)/\&\& 0)/' scope/end
mutant list-set-in-place shared/slots.c 's/half\[!\(turn & 1\)\]/half[turn \& 1]/' list/set
mutant list-set-unannounced shared/slots.c 's/void \*announced = brood__os_announce\(&list->latch\);/void *announced = brood__os_announce(NULL);/' list/set
mutant list-get-believes shared/slots.c 's/if \(atomic_load_explicit\(&slot->turn, memory_order_relaxed\) == turn\) return error;/return error;/' \
    list/get-stalled
mutant name-before-record shared/names.c \
    's/^ *atomic_store\(&s->tracked, SLOT_GENERATION.*$//; s/if \(error == 0\) error = (brood__os_named_link\(fd, name\);)/if (error == 0) error = \1 if (error == 0) atomic_store(\&s->tracked, 1u);/' \
    shm/create
mutant name-without-record shared/names.c '/^int brood__named_give/,/^}/ s/error = brood__ledger_write\(index, s\);/error = 0;/' shm/create-and-end
mutant name-of-the-dead-kept shared/names.c '/^bool brood__named_repair/,/^}/ s/int error = settle\(.*$/int error = 0;/' shm/create shm/repair
mutant name-in-use-removed os/linux/named.c 's/if \(error == 0 && unused\) error = brood__os_named_lock\(fd, true\);//' shm/create shm/end-in-use
mutant name-forgotten-first shared/names.c \
    '/^int brood__named_unlink/,/^}/ s/error = brood__os_named_remove\(copy.name, &copy.is, false\);/atomic_store(\&s->tracked, 0u); error = brood__os_named_remove(copy.name, \&copy.is, false);/' \
    shm/unlink

# --- waits for many
mutant wait-no-second-look wait/set.c '/^bool brood__entry_ready/,/^}/ s/if \(!brood__waitable_ready\(&entry->item\)\) return false;/return false;/' \
    wait/stalled
mutant wait-unheard-answers wait/kinds.c 's/if \(pool\) atomic_store\(&pool->polled, 1\);//' wait/answer
mutant wait-unheard-messages queue/message.c '/^int brood__message_rings/,/^}/ s/q->polled = 1;/;/' wait/woken
mutant wait-bell-unarmed sync/bell.c '/^int brood__bell_open/,/^}/ s/&s->armed, 1,/\&s->armed, 0,/' wait/woken

wait
failed=$(find "$work" -name '*.lives' | wc -l)
echo "mutants: $tried points, $failed failures"
[ "$failed" -eq 0 ]
