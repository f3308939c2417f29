# libevent_core: the event loop of agent and launcher.
AC_DEFUN([CT_LIBEVENT], [
  CT_REQUIRED([libevent], [LIBEVENT], [libevent_core >= 2.1], [event loop])
])
