/* A watchdog driver in the place of the kernel's: preloaded into a program, it answers for one file what
 * drivers/watchdog/watchdog_dev.c answers for /dev/watchdog, with the orders and layouts of linux/watchdog.h.
 * It counts no time; it writes down what it was told. Numbers, structures and refusals are the kernel's own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/watchdog.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int timeout = 60, stopped, magic;

static int setting(const char *name) { return getenv(name) ? atoi(getenv(name)) : 0; }

static int ours(int fd)
{
	struct stat one, other;
	return getenv("DRIVER_FILE") && fstat(fd, &one) == 0 && stat(getenv("DRIVER_FILE"), &other) == 0 &&
	       one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

static void note(const char *words, int number)
{
	FILE *log = fopen(getenv("DRIVER_LOG"), "a");
	fprintf(log, "%s %d\n", words, number);
	fclose(log);
}

static int refuse(int problem) { errno = problem; return -1; }

int ioctl(int fd, unsigned long request, ...)
{
	static int (*next)(int, unsigned long, ...);
	va_list list;
	va_start(list, request);
	int *number = va_arg(list, int *);
	va_end(list);
	if (!next)
		next = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	if (!ours(fd))
		return next(fd, request, number);
	switch (request) {
	case WDIOC_GETSUPPORT: {
		struct watchdog_info info = { WDIOF_SETTIMEOUT | WDIOF_MAGICCLOSE, 7, "" };
		if (setting("DRIVER_SILENT"))
			return refuse(ENOTTY);
		memcpy(info.identity, "Software Watchdog", 18);
		memcpy(number, &info, sizeof info);
		return 0;
	}
	case WDIOC_SETOPTIONS:
		note("options", *number);
		if (!(*number & WDIOS_DISABLECARD))
			return refuse(EINVAL);
		if (setting("DRIVER_NOWAYOUT"))
			return refuse(EBUSY);
		if (setting("DRIVER_STOPS_BY_CLOSING"))
			return refuse(EOPNOTSUPP);
		stopped = 1;
		return 0;
	case WDIOC_SETTIMEOUT:
		if (setting("DRIVER_FIXED"))
			return refuse(EOPNOTSUPP);
		if (*number < setting("DRIVER_LEAST") || *number < 1)
			return refuse(EINVAL);
		if (setting("DRIVER_STEP"))
			*number = (*number + setting("DRIVER_STEP") - 1) / setting("DRIVER_STEP") * setting("DRIVER_STEP");
		timeout = *number;
		note("timeout", timeout);
		return 0;
	case WDIOC_GETTIMEOUT:
		*number = setting("DRIVER_FIXED") ? setting("DRIVER_FIXED") : timeout;
		return 0;
	case WDIOC_GETTIMELEFT:
		if (setting("DRIVER_SILENT"))
			return refuse(EOPNOTSUPP);
		*number = timeout - 1;
		return 0;
	}
	return refuse(ENOTTY);
}

ssize_t write(int fd, const void *buffer, size_t size)
{
	static ssize_t (*next)(int, const void *, size_t);
	if (!next)
		next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	if (!ours(fd))
		return next(fd, buffer, size);
	magic = memchr(buffer, 'V', size) != NULL;
	note(magic ? "magic" : "fed", (int)size);
	return (ssize_t)size;
}

int close(int fd)
{
	static int (*next)(int);
	if (!next)
		next = (int (*)(int))dlsym(RTLD_NEXT, "close");
	if (ours(fd)) /* watchdog_release(): what was not stopped and not told the magic character runs on */
		note("closed, running", !stopped && (setting("DRIVER_NOWAYOUT") || !magic));
	return next(fd);
}
