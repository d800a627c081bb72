/* Ends the use of metrics.def. */
#undef METRIC_COUNTER
#undef METRIC_GAUGE
#undef METRIC_SECONDS
#undef METRIC_SIZES
