/*
 * What libcamera's virtual pipeline wants of a machine, for machines that lack it.
 *
 * /dev/udmabuf makes a DMA buffer out of a memory file, for which one needs a kernel module and rights. On the
 * virtual camera no device ever reads the buffer, so the memory file itself does as well: opening the device answers
 * a memory file, UDMABUF_CREATE a duplicate of the one that was handed in, DMA_BUF_IOCTL_SYNC nothing at all.
 *
 * The pipeline reads /usr/share/libcamera/pipeline/virtual/virtual.yaml; where SKYLAPSE_RIG names a folder, that
 * folder stands for /usr/share/libcamera.
 *
 * Declared by hand, so that a compiler suffices and no headers are needed.
 */

#define RTLD_NEXT ((void *)-1)
#define UDMABUF_CREATE 0x40187542UL
#define DMA_BUF_IOCTL_SYNC 0x40086200UL
#define LONGEST 4096

extern void *dlsym(void *library, const char *name);
extern int dup(int file);
extern int memfd_create(const char *name, unsigned int flags);
extern char *getenv(const char *name);
extern int snprintf(char *text, unsigned long size, const char *format, ...);
extern int strcmp(const char *one, const char *other);
extern int strncmp(const char *one, const char *other, unsigned long length);

static const char shared[] = "/usr/share/libcamera";

static const char *moved(const char *path, char *text)
{
	const char *folder = getenv("SKYLAPSE_RIG");

	if (!path || !folder || strncmp(path, shared, sizeof(shared) - 1))
		return path;
	snprintf(text, LONGEST, "%s%s", folder, path + sizeof(shared) - 1);
	return text;
}

int open64(const char *path, int flags, ...)
{
	char text[LONGEST];
	__builtin_va_list rest;
	unsigned int mode;
	int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");

	__builtin_va_start(rest, flags);
	mode = __builtin_va_arg(rest, unsigned int);
	__builtin_va_end(rest);
	if (path && !strcmp(path, "/dev/udmabuf"))
		return memfd_create("udmabuf", 1);
	return real(moved(path, text), flags, mode);
}

int stat64(const char *path, void *facts)
{
	char text[LONGEST];
	int (*real)(const char *, void *) = dlsym(RTLD_NEXT, "stat64");

	return real(moved(path, text), facts);
}

int ioctl(int file, unsigned long request, ...)
{
	__builtin_va_list rest;
	void *argument;
	int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");

	__builtin_va_start(rest, request);
	argument = __builtin_va_arg(rest, void *);
	__builtin_va_end(rest);
	if (request == UDMABUF_CREATE)
		return dup(*(int *)argument);
	if (request == DMA_BUF_IOCTL_SYNC)
		return 0;
	return real(file, request, argument);
}
