#include "model/state/total.h"

static double risk(const struct total *t, const struct output *o)
{
    uint32_t of = o->of_labelled ? t->labelled : t->n;
    return of ? (double)t->frauds / (double)of : o->prior;
}

static double mean(const struct total *t)
{
    return t->n ? exact_value(t->sum) / (double)t->n : NAN;
}

static double seconds_since(const struct total *t, int64_t now)
{
    return t->n ? (double)(now - t->time_us) / 1e6 : NAN;
}

void total_emit(const struct key_layout *k, const struct cell *cell, const struct total *total, int64_t now, double *out)
{
    for (unsigned i = 0; i < cell->output_count; i++) {
        const struct output *o = &k->outputs[cell->first_output + i];
        double *x = &out[o->window];
        switch ((enum state_function)o->function) {
        case STATE_COUNT:
        case STATE_DISTINCT:
            *x = total->n;
            break;
        case STATE_SUM:
            *x = exact_value(total->sum);
            break;
        case STATE_MEAN:
            *x = mean(total);
            break;
        case STATE_STD:
            *x = exact_std(total->sum, &total->squares, total->n);
            break;
        case STATE_MIN:
        case STATE_MAX:
        case STATE_LAST:
            *x = total->n ? total->extreme : NAN;
            break;
        case STATE_SINCE:
        case STATE_FIRST_SEEN:
            *x = seconds_since(total, now);
            break;
        case STATE_RISK:
            *x = risk(total, o);
            break;
        case STATE_FUNCTION_COUNT:
            break;
        }
    }
}
