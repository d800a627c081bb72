/* Ends the use of options.def. */
#undef OPTION_TEXT
#undef OPTION_PATH
#undef OPTION_BOOL
#undef OPTION_INT
#undef OPTION_REAL
#undef OPTION_CHOICE
