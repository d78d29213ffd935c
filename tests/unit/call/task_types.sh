#!/bin/bash
# SPDX-License-Identifier: MIT
# What isn't a task, and a pointer of the wrong type to a task's argument or result, don't compile, and the compiler says
# why; every form of a task, and of the calls that name one, compiles without a warning, as C and as C++.
# task_types.sh INCLUDE COMPILER...
include=$1
shift
bad=0

prelude='#include <brood.h>
struct point { int x, y; };
BROOD_TASK(nothing, void, void) {}
BROOD_TASK(one, double, double, f) { return f; }
BROOD_TASK(several, struct point, int, a, int, b) { struct point p = {a, b}; return p; }
BROOD_TASK(shout, brood_bytes, brood_bytes, text) { return text; }
static BROOD_TASK(hidden, int, int, n) { return n; }
BROOD_TASK(bare, int) { return 1; }
BROOD_TASK_DECLARE(elsewhere, struct point, struct point, a, int, b);
const brood_task *all(int i);
const brood_task *all(int i)
{
    const brood_task *tasks[5] = {BROOD_TASK_OF(nothing), BROOD_TASK_OF(one), BROOD_TASK_OF(several),
                                  BROOD_TASK_OF(shout), BROOD_TASK_OF(hidden)};
    return tasks[i];
}
void use(const void *in, void *out);
void use(const void *in, void *out) { (void)in; (void)out; }
'

compile() { # COMPILER, LANGUAGE, what it is to do; the rest from standard input
    warnings='-Wall -Wextra -Wshadow -Wconversion -Werror'
    case $2 in
    c++) options="-x c++ -std=c++11 $warnings" ;;
    *) options="-x c -std=c11 -Wstrict-prototypes -Wmissing-prototypes $warnings" ;;
    esac
    # shellcheck disable=SC2086
    { echo "$prelude" && cat; } | $1 $options -I"$include" $3 - 2>&1
}

in_test() { # NUMBER, the body of a function
    printf 'void test%d(brood_pool pool, brood_queue q, brood_process p, brood_future f);
void test%d(brood_pool pool, brood_queue q, brood_process p, brood_future f)
{ (void)pool, (void)q, (void)p, (void)f; %s }\n' "$1" "$1" "$2"
}

# What is accepted is compiled all at once, and one by one only if that fails.
accepted=()
accepts() { accepted+=("$3"); }
check_accepted() { # COMPILER, LANGUAGE
    local said i number=0
    said=$(for i in "${accepted[@]}"; do in_test $((number++)) "$i"; done | compile "$1" "$2" "-O2 -c -o /dev/null")
    if [ -n "$said" ]; then
        for i in "${accepted[@]}"; do
            said=$(in_test 0 "$i" | compile "$1" "$2" "-O2 -c -o /dev/null")
            [ -z "$said" ] || printf '%s as %s: refuses: %s\n%s\n' "$1" "$2" "$i" "$said"
        done
        bad=1
    fi
    accepted=()
}

refused() { # COMPILER, LANGUAGE, what it should say, the text
    if said=$(compile "$1" "$2" -fsyntax-only <<<"$4"); then
        echo "$1 as $2: accepts: $4"
        bad=1
    elif [[ $said != *"$3"* ]]; then
        printf '%s as %s: refuses, but without "%s": %s\n%s\n' "$1" "$2" "$3" "$4" "$said"
        bad=1
    fi
}

refuses() { refused "$1" "$2" "$4" "$(in_test 0 "$3")"; } # the body of a function
no_task() { refused "$1" "$2" "$4" "$3"; }                # a definition

for compiler in "$@"; do
    case $compiler in
    *++*) language=c++ ;;
    *) language=c ;;
    esac
    in='' out=''
    if [ $language = c ]; then
        in='argument: wrong type for task' out='result: wrong type for task'
    fi
    accepts "$compiler" $language ''
    accepts "$compiler" $language 'double a = 1, b; use(BROOD__IN(one, &a), BROOD__OUT(one, &b)); (void)b;'
    accepts "$compiler" $language 'const double a[3] = {1, 2, 3}; double b[3]; use(BROOD__IN(one, a), BROOD__OUT(one, b));'
    accepts "$compiler" $language 'several_args a = {1, 2}; struct point b; use(BROOD__IN(several, &a), BROOD__OUT(several, &b));'
    accepts "$compiler" $language 'use(BROOD__IN(nothing, NULL), BROOD__OUT(nothing, NULL));'
    accepts "$compiler" $language 'brood_bytes a = {"x", 1}, b; use(BROOD__IN(shout, &a), BROOD__OUT(shout, &b));'
    refuses "$compiler" $language 'int a = 1; use(BROOD__IN(one, &a), 0);' "$in"
    refuses "$compiler" $language 'float a[3] = {1, 2, 3}; use(BROOD__IN(one, a), 0);' "$in"
    refuses "$compiler" $language 'double a = 1; use(BROOD__IN(one, a), 0);' "$in"
    refuses "$compiler" $language 'struct point a = {1, 2}; use(BROOD__IN(several, &a), 0);' "$in"
    refuses "$compiler" $language 'use(BROOD__IN(shout, "text"), 0);' "$in"
    refuses "$compiler" $language 'int b; use(0, BROOD__OUT(one, &b));' "$out"
    refuses "$compiler" $language 'static const double b = 1; use(0, BROOD__OUT(one, &b));' "$out"

    pointer='which means nothing in another process' comma='a type and a name with a comma between'
    no_task "$compiler" $language 'BROOD_TASK(t, int, char *, s) { return *s; }' "task t: a pointer as parameter, $pointer"
    no_task "$compiler" $language 'BROOD_TASK(t, int, const void *, s) { return !s; }' "$pointer"
    no_task "$compiler" $language 'BROOD_TASK(t, int, int, a, struct point *, b) { return a + b->x; }' "$pointer"
    no_task "$compiler" $language 'BROOD_TASK(t, char *, int, n) { return 0; }' "task t: a pointer as result, $pointer"
    no_task "$compiler" $language 'BROOD_TASK(t, void *, void) { return 0; }' "task t: a pointer as result, $pointer"
    no_task "$compiler" $language 'BROOD_TASK(t, struct point *, void) { return 0; }' "$pointer"
    no_task "$compiler" $language 'BROOD_TASK(t, int, int) { return 0; }' "task t: each parameter is $comma"
    no_task "$compiler" $language 'BROOD_TASK(t, int, struct point) { return 0; }' "$comma"
    no_task "$compiler" $language 'BROOD_TASK(t, double, double f) { return 0; }' "$comma"
    no_task "$compiler" $language 'BROOD_TASK(t, int, int, a, int) { return 0; }' "$comma"
    no_task "$compiler" $language 'BROOD_TASK(t, int, int, a, brood_bytes, b) { return 0; }' 'brood_bytes can only be its one'
    no_task "$compiler" $language 'BROOD_TASK(t, int, brood_bytes, b, int, a) { return 0; }' 'brood_bytes can only be its one'
    no_task "$compiler" $language \
        'BROOD_TASK(t, int, int, a, int, b, int, c, int, d, int, e, int, g, int, h) { return 0; }' 'more than six parameters'
    no_task "$compiler" $language 'BROOD_TASK_DECLARE(t, int, char *, s);' "$pointer"
    no_task "$compiler" $language 'BROOD_TASK(elsewhere, struct point, struct point, a, int, b) { return a; }' \
        'so_define_it_as_an_ordinary_function'

    accepts "$compiler" $language 'brood_process_start(&p, NULL, nothing); brood_process_start(&p, NULL, nothing, NULL);'
    accepts "$compiler" $language 'double x = 1; brood_process_start(&p, NULL, one, &x);'
    accepts "$compiler" $language 'brood_pool_submit(pool, &f, nothing); double x = 1; brood_pool_submit(pool, &f, one, &x);'
    accepts "$compiler" $language 'double a[2] = {1, 2}, b[2]; brood_pool_map(pool, one, a, b, 2);'
    accepts "$compiler" $language 'double a[2] = {1, 2}, b[2]; brood_map m; brood_pool_map_async(pool, &m, one, a, b, 2);'
    accepts "$compiler" $language 'double x = 1; brood_pool_apply(pool, one, &x, &x); brood_pool_apply(pool, nothing, NULL, NULL);'
    accepts "$compiler" $language 'double x = 1; brood_future_get(f, &x, 0, NULL); brood_future_get(f, NULL, 0, NULL);'
    accepts "$compiler" $language 'brood_bytes x; brood_future_get(f, &x, 0, NULL);'
    accepts "$compiler" $language 'double x = 1; brood_queue_put_value(q, &x, 0); brood_queue_get_value(q, &x, 0);'
    accepts "$compiler" $language 'brood_bytes x = {"x", 1}; brood_pool_apply(pool, shout, &x, NULL);'
    refuses "$compiler" $language 'int x = 1; brood_process_start(&p, NULL, one, &x);' "$in"
    refuses "$compiler" $language 'int x = 1; brood_pool_submit(pool, &f, one, &x);' "$in"
    refuses "$compiler" $language 'int x[2] = {1, 2}; double y[2]; brood_pool_map(pool, one, x, y, 2);' "$in"
    refuses "$compiler" $language 'int x; double y = 1; brood_pool_apply(pool, one, &y, &x);' "$out"
    refuses "$compiler" $language 'double y = 1; brood_pool_apply(pool, one, &y);' ''
    if [ $language = c++ ]; then
        check_accepted "$compiler" c++
        continue
    fi
    accepts "$compiler" c 'brood_process_start(&p, NULL, several, &(several_args){1, 2});'
    accepts "$compiler" c 'double x; brood_future_get((brood_future){f.pool, 1}, &x, 0, NULL);'
    accepts "$compiler" c 'brood_process_start(&p, NULL, elsewhere, &(elsewhere_args){{1, 2}, 3});'
    accepts "$compiler" c 'several_args a = {1, 2}; brood_process_start_with(&p, several, &a, .name = "a", .daemon = true);'
    accepts "$compiler" c 'brood_process_start_with(&p, several, (&(several_args){1, 2}), .daemon = true);'
    accepts "$compiler" c 'brood_pool_submit(pool, &f, several, &(several_args){.a = 1, .b = 2});'
    accepts "$compiler" c 'struct point x; brood_pool_apply(pool, several, &(several_args){1, 2}, &x);'
    accepts "$compiler" c 'struct point x; brood_pool_apply_with(pool, several, (&(several_args){1, 2}), &x, .timeout = 5);'
    accepts "$compiler" c 'double x[4]; brood_pool_map(pool, one, (double[]){1, 2, 3, 4}, x, sizeof x / sizeof *x);'
    accepts "$compiler" c 'double x[4]; brood_map m; brood_pool_map_async(pool, &m, one, (double[]){1, 2, 3, 4}, x, 4);'
    accepts "$compiler" c 'double a[1] = {1}; brood_map m; brood_pool_map_async_with(pool, &m, one, a, a, 1, .chunk = 1);'
    accepts "$compiler" c 'struct point x[2]; brood_pool_starmap(pool, several, (several_args[]){{1, 2}, {3, 4}}, x, 2);'
    accepts "$compiler" c 'brood_queue_put_value(q, &(struct point){1, 2}, BROOD_FOREVER);'
    accepts "$compiler" c 'brood_queue_put_value(q, (&(struct point){1, 2}), BROOD_FOREVER);'
    check_accepted "$compiler" c
    refuses "$compiler" c 'brood_pool_submit(pool, &f, several, &(struct point){1, 2});' "$in"
    refuses "$compiler" c 'struct point x; brood_pool_apply(pool, several, &(struct point){1, 2}, &x);' "$in"
    refuses "$compiler" c 'double x[2]; brood_pool_map(pool, one, (float[]){1, 2}, x, 2);' "$in"
    refuses "$compiler" c 'brood_process_start(&p, NULL, one);' 'argument: missing for task one'
    refuses "$compiler" c 'brood_pool_submit(pool, &f, several);' 'argument: missing for task several'
    refuses "$compiler" c 'void *x = &f; brood_future_get(f, x, 0, NULL);' 'a void * does not tell its size'
    refuses "$compiler" c 'void *x = &f; brood_queue_put_value(q, x, 0);' 'a void * does not tell its size'
    refuses "$compiler" c 'brood_bytes x = {"x", 1}; brood_pool_apply(pool, shout, &x, &x);' 'apply keeps no brood_bytes'
    refuses "$compiler" c 'brood_bytes x = {"x", 1}; brood_pool_map(pool, shout, &x, &x, 1);' 'over plain values'
done
exit $bad
