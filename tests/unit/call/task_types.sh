#!/bin/bash
# SPDX-License-Identifier: MIT
# A pointer of the wrong type to a task's argument or result doesn't compile, and the compiler says why;
# every form of a task compiles without a warning, as C and as C++.
# task_types.sh INCLUDE COMPILER...
include=$1
shift
bad=0

prelude='#include <brood/task.h>
struct point { int x, y; };
BROOD_TASK(nothing, void, void) {}
BROOD_TASK(one, double, double, f) { return f; }
BROOD_TASK(several, struct point, int, a, int, b) { struct point p = {a, b}; return p; }
BROOD_TASK(shout, brood_bytes, brood_bytes, text) { return text; }
static BROOD_TASK(hidden, int, int, n) { return n; }
const brood_task *all(int i);
const brood_task *all(int i)
{
    const brood_task *tasks[5] = {BROOD_TASK_OF(nothing), BROOD_TASK_OF(one), BROOD_TASK_OF(several),
                                  BROOD_TASK_OF(shout), BROOD_TASK_OF(hidden)};
    return tasks[i];
}
void use(const void *in, void *out);
void use(const void *in, void *out) { (void)in; (void)out; }
void test(void);
'

compile() { # COMPILER, LANGUAGE, the body of test()
    warnings='-Wall -Wextra -Wshadow -Wconversion -Werror'
    case $2 in
    c++) options="-x c++ -std=c++11 $warnings" ;;
    *) options="-x c -std=c11 -Wstrict-prototypes -Wmissing-prototypes $warnings" ;;
    esac
    # shellcheck disable=SC2086
    printf '%s\nvoid test(void) { %s }\n' "$prelude" "$3" |
        $1 $options -I"$include" -O2 -c -o /dev/null - 2>&1
}

accepts() {
    if ! said=$(compile "$1" "$2" "$3") || [ -n "$said" ]; then
        printf '%s as %s: refuses: %s\n%s\n' "$1" "$2" "$3" "$said"
        bad=1
    fi
}

refuses() { # and says $4
    if said=$(compile "$1" "$2" "$3"); then
        echo "$1 as $2: accepts: $3"
        bad=1
    elif [[ $said != *"$4"* ]]; then
        printf '%s as %s: refuses, but without "%s": %s\n%s\n' "$1" "$2" "$4" "$3" "$said"
        bad=1
    fi
}

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
done
exit $bad
