/* SPDX-License-Identifier: MIT */
/* A value, an array, a list and a named segment that processes share, all made through one scope, which frees them. */
#include "start_method.h"
#include <stdio.h>

BROOD_TASK(work, int, brood_value, number, brood_array, array, brood_value, hits, brood_shareable_list, list, brood_shm,
           shm)
{
    int *a = brood_array_data(array, int);
    double pi = 3.1415927;
    brood_element ice = brood_element_text("dry ice");
    char *text = brood_shm_data(shm, NULL);
    if (!a || !text || brood_array_acquire(array, BROOD_FOREVER) < 0) return 1;
    for (int i = 0; i < 10; i++) a[i] = -a[i];
    brood_array_release(array);
    brood_value_set(number, &pi);
    for (int i = 0; i < 1000; i++) brood_value_add(hits, 1, NULL);
    brood_shareable_list_set(list, 2, &ice);
    snprintf(text, 100, "written by a child");
    return 0;
}

static int make(work_args *s, brood_scope scope)
{
    int first[10];
    for (int i = 0; i < 10; i++) first[i] = i;
    brood_element elements[] = {brood_element_text("howdy"), brood_element_integer(42), brood_element_real(-273.154)};
    brood_shareable_list_options in_scope = {.scope = scope};
    int error = brood_value_new(&s->number, double, 0.0, .scope = scope);
    if (error == 0) error = brood_array_new(&s->array, int, 10, .initial = first, .lock = true, .scope = scope);
    if (error == 0) error = brood_value_new(&s->hits, long, 0, .scope = scope);
    if (error == 0) error = brood_shareable_list_new(&s->list, elements, 3, &in_scope);
    if (error == 0) error = brood_shm_create(&s->shm, 100, &(brood_shm_options){.scope = scope}, NULL);
    return error;
}

static void print(work_args s)
{
    double number = 0;
    long hits = 0;
    char text[20];
    brood_element e;
    brood_value_get(s.number, &number);
    brood_value_get(s.hits, &hits);
    printf("%.7f\n", number);
    for (int i = 0; i < 10; i++) printf("%d%s", brood_array_data(s.array, int)[i], i < 9 ? " " : "\n");
    printf("%ld hits\n", hits);
    if (brood_shareable_list_get(s.list, 2, &e, text, sizeof text) == 0) printf("%s\n", text);
    printf("%s\n", (char *)brood_shm_data(s.shm, NULL));
}

int main(int argc, char **argv)
{
    BROOD_INIT(&argc, &argv);
    start_method_argument(argc, argv);
    brood_scope scope;
    work_args shared = {0};
    brood_process child = {0};
    int code = 1;
    int error = brood_scope_begin(&scope);
    if (error == 0) error = make(&shared, scope);
    if (error == 0) error = brood_process_start(&child, NULL, work, &shared);
    if (error == 0) error = brood_process_join(child, BROOD_FOREVER, &code);
    if (error < 0) {
        fprintf(stderr, "%s: %s\n", brood_strerror(error), brood_error_detail());
        return 1;
    }
    print(shared);
    brood_scope_end(scope);
    printf("afterwards: %s\n", brood_strerror((int)brood_array_count(shared.array)));
    return brood_fini() < 0 || code != 0;
}
