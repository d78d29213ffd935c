#!/bin/bash
# SPDX-License-Identifier: MIT
# Proves that the tests of managers and variants see what they are there for: one source at a time is changed so that a
# rule is broken, and one of the tests named for it must fail: mutants.sh SOURCE_ROOT LIBRARY [NAME...]
# Prints "manager mutants: N points, F failures": N mutants tried, F that lived or could not be made.
set -u
root=$1 library=$2
shift 2
only=("$@")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
jobs=$((2 * $(nproc))) # most of the time is spent in waiting for what a broken server does not do
tried=0
build=("${CC:-cc}" -std=gnu11 -O1 -g -w -D_GNU_SOURCE -ftls-model=initial-exec -fvisibility=hidden -pthread
    -I"$root/include" -I"$root/src" -I"$root/tests/support")
check=$(pkg-config --libs check)
for test in variant manager clients pool; do
    "${build[@]}" -c "$root/tests/unit/manager/$test.c" -o "$work/$test.o"
done
"${build[@]}" -c "$root/tests/support/brood_test.c" -o "$work/support.o"

lives() {
    echo "mutant $1: $2"
    touch "$work/$1.lives"
}

# One mutant, from its text to its end; says so, and leaves a mark in `work` if it lives.
try() {
    local name=$1 file=$2 script=$3 own=$work/$1 test
    shift 3
    mkdir "$own"
    sed -E "$script" "$root/src/$file" >"$own/mutant.c"
    if cmp -s "$own/mutant.c" "$root/src/$file"; then
        lives "$name" "the script no longer changes src/$file"
        return
    fi
    for test in "$@"; do
        # An object that defines all that a member of the library does is linked in its place.
        # shellcheck disable=SC2086 # words of pkg-config
        if ! "${build[@]}" -I"$root/src/$(dirname "$file")" -o "$own/run" "$own/mutant.c" "$work/$test.o" \
            "$work/support.o" "$library" -Wl,--build-id -lcbor -lnettle $check 2>"$own/errors"; then
            lives "$name" "does not build"
            head -5 "$own/errors"
            return
        fi
        if ! CK_DEFAULT_TIMEOUT=8 timeout 120 "$own/run" >"$own/out" 2>&1; then
            echo "mutant $name: caught by $test, $(grep -m 1 -E ':[FE]:' "$own/out" | cut -d : -f 5)"
            return
        fi
    done
    lives "$name" "LIVES through $*"
}

# mutant NAME FILE SED-SCRIPT TEST...: made by the script from src/FILE, it must fail in one of the tests.
mutant() {
    [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $1 "* ]] || return
    tried=$((tried + 1))
    [ $tried -le $jobs ] || wait -n
    try "$@" &
}

mutant half-rounded process/item.c 's/if \(mantissa \& \(\(\(uint64_t\)1 << lost\) - 1\)\) return -1;//' variant
mutant keys-unsorted manager/value.c 's/ \&\& i > 0 \&\& brood__slice_compare\(before, key\) >= 0/ \&\& 0/' variant clients
mutant keys-unsorted-tree manager/variant_code.c 's/if \(i > 0 \&\& brood__slice_compare\(before, bytes\) >= 0\).*//' variant
mutant depth-unbounded manager/variant.c 's/if \(part->depth >= BROOD_VARIANT_DEPTH\) return BROOD_EINVAL;//' variant
mutant not-handed-back manager/server_client.c 's/brood__queue_returned\(s, hand\);/;/' clients
mutant handed-back-reversed manager/server_client.c 's/hand->next = backwards;/;/; s/while \(c->hands\) \{/while (0) {/; s/struct hand \*backwards = NULL;/struct hand *backwards = c->hands;/' clients
mutant lock-kept manager/type_lock.c 's/if \(l->holder != c\) return;/return;/' clients
mutant death-untold manager/type_lock.c 's/l->owner_died = true;//' clients
mutant units-kept manager/type_lock.c 's/->free \+= units;/->free += 0;/' clients
mutant depth-lost manager/type_condition.c 's/brood__lock_take_back\(r, r->o, r->number\)/brood__lock_take_back(r, r->o, 1)/' clients
mutant notification-lost manager/type_condition.c 's/notify\(r->other, 1\);/;/' clients
mutant late-without-lock manager/type_condition.c 's/^    to_the_lock\(r, LATE\);$/    return BROOD_ETIMEDOUT;/' clients
mutant barrier-whole manager/type_condition.c 's/^    r->dropped = barrier_dropped;//; s/r->dropped = barrier_dropped;//' clients
mutant event-missed manager/type_condition.c 's/w->verdict = PASSED; \/\*/; \/*/; s/brood__serve\(r->s, r->o, 0\);/;/' clients manager
mutant tasks-of-the-dead manager/type_queue.c 's/finish\(s, \(struct queue_object \*\)o, units\);/;/' clients
mutant holds-kept manager/server_object.c 's/for \(; holds; holds--\) brood__refer_no_more\(s, o\);//' clients
mutant nested-freed manager/server_object.c 's/int error = v->handles \? change_references\(s, v, 1\) : 0;/int error = 0;/' manager
mutant nested-kept manager/server_object.c 's/if \(v->handles\) change_references\(s, v, -1\);//' manager
mutant taken-out-freed manager/server_request.c 's/^    if \(v->handles\) brood__value_walk.*hold_handle.*//' manager
mutant waits-of-the-dead manager/server_client.c 's/while \(c->waiting\) brood__request_drop\(c->waiting\);/c->waiting = NULL;/' clients
mutant last-words-unheard manager/server_client.c 's/if \(error != -EPIPE \&\& error != -ECONNRESET\) brood__client_break/brood__client_break/' clients
mutant unread-for-ever manager/server_client.c 's/^    else if \(unsent\(c\)\)$/    else if (0)/' clients
mutant listened-to-all-the-same manager/server_client.c 's/c->paused = true;/;/; s/> 2 \* c->s->setup.buffered/> 1000 * c->s->setup.buffered/' clients
mutant strangers-served manager/server_client.c 's/if \(!c->open\)$/if (0)/' clients manager
mutant any-number-of-clients manager/server_client.c 's/s->client_count > s->setup.clients/0/' clients
mutant any-number-waits manager/server_request.c 's/c->waiting_count >= s->setup.waiting/0/' clients
mutant any-number-of-objects manager/server_object.c 's/c->share_count >= s->setup.objects/0/' clients
mutant any-memory manager/server_object.c 's/if \(size <= s->setup.memory .*\) return true;/return true;/' clients
mutant child-keeps-descriptor manager/link.c 's/for \(struct link \*l = links; l; l = l->next\) brood__os_close\(\&l->fd\);//' manager clients
mutant not-taken manager/link.c 's/if \(answer->handed\) error = take_over\(l, p.serial\);//' manager
mutant server-left manager/manager.c 's/if \(process\) (end_server|brood_proxy_call).*//' manager
mutant others-free-it manager/manager.c 's/if \(SLOT_OWNER.*return BROOD_EPERM;//' manager
mutant pool-jobs-of-the-dead manager/type_job.c 's/if \(job->pool\) take_back\(s, job\);//' pool
mutant pool-no-turns manager/type_pool.c 's/if \(job->given < job->count\) enqueue\(p, job\);/if (job->given < job->count) { job->next = p->first; p->last = p->first ? p->last : job; p->first = job; }/' pool
mutant pool-crew-kept manager/type_pool.c 's/if \(crew->left \&\& !crew->object\)/if (0)/' pool
mutant pool-any-number-of-workers manager/type_pool.c 's/s->workers \+ workers > s->setup.workers/0/' pool
mutant pool-any-function manager/pool_task.c 's/if \(\*error == 0 \&\& !is_variant_task\(task\)\) .*//' pool
mutant pool-far-ahead manager/type_job.c 's/job->given - job->taken < AHEAD/1/' pool
mutant pool-joined-early manager/type_pool.c 's/return pool_of\(r\)->crew->left \? 0 : WAITS;/return 0;/' pool
mutant pool-answers-unseen manager/type_pool.c 's/^    look\(s, crew\);//' pool
mutant pool-last-error-told manager/type_job.c 's/if \(job->results\[i\].code < 0\) return \&job->results\[i\];/if (job->results[job->count - 1 - i].code < 0) return \&job->results[job->count - 1 - i];/' pool

wait
failures=$(find "$work" -name '*.lives' | wc -l)
echo "manager mutants: $tried points, $failures failures"
[ $failures -eq 0 ]
