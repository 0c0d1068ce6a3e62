/* SPDX-License-Identifier: Apache-2.0 */
/* Taps, on a fake kernel that answers tun's ioctls. */
#include "capture.h"
#include "fake_sys.h"
#include "host/tap.h"
#include "unit.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

enum { ALL = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO };

/* The interface that the fake kernel has. */
struct fake_tun {
	bool multi_queue;      /* created with it */
	int attach_error;      /* TUNSETIFF; 0: none */
	unsigned known;        /* offloads that the kernel knows */
	short flags, if_flags; /* TUNGETIFF, SIOCGIFFLAGS */
	bool macvtap;          /* accepts TUNSETIFF for its flags at any time */
	const char *adopted;   /* name of the interface of an fd */
	int mtu;               /* negative: an errno */
	const char *namespace; /* of an fd's interface; NULL: not reported */
	const char *address;   /* of the interface of the name in our namespace */
	/* What was set. */
	unsigned long offloads;
	int header_len, little_endian;
	char name[IFNAMSIZ];
	short queue_switch; /* TUNSETQUEUE */
	bool absent;	    /* there is no interface */
};

struct fixture {
	struct fake_sys fake;
	struct fake_tun tun;
	unsigned fds;
	struct capture capture;
};

static int set_iff(struct fake_tun *tun, struct ifreq *ifr)
{
	if (tun->macvtap) {
		tun->flags = ifr->ifr_flags;
		return 0;
	}
	assert_int_equal(ifr->ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR),
			 IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	if (tun->attach_error)
		return -tun->attach_error;
	if (!(ifr->ifr_flags & IFF_MULTI_QUEUE) != !tun->multi_queue)
		return -EINVAL;
	memcpy(tun->name, ifr->ifr_name, sizeof(tun->name));
	return 0;
}

static int get_address(const struct fake_tun *tun, int fd, struct ifreq *ifr)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	memcpy(ifr->ifr_hwaddr.sa_data, S_ISSOCK(st.st_mode) ? tun->address : "\2\1\2\3\4\5", 6);
	return 0;
}

static int tun_ioctl(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct fake_tun *tun = fake->hook_data;
	struct ifreq *ifr = arg;

	switch (request) {
	case TUNSETIFF:
		return set_iff(tun, ifr);
	case TUNGETIFF:
		strcpy(ifr->ifr_name, tun->adopted);
		ifr->ifr_flags = tun->flags;
		return 0;
	case TUNGETFEATURES:
		*(unsigned *)arg = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE |
				   (tun->macvtap ? 0 : IFF_TUN | IFF_ONE_QUEUE);
		return 0;
	case SIOCGIFHWADDR:
		return get_address(tun, fd, ifr);
	case TUNGETDEVNETNS:
		return tun->namespace ? open(tun->namespace, O_RDONLY | O_CLOEXEC) : -EPERM;
	case SIOCGIFINDEX:
		ifr->ifr_ifindex = 42;
		return tun->absent ? -ENODEV : 0;
	case TUNSETOFFLOAD:
		if ((unsigned long)arg & ~(unsigned long)tun->known)
			return -EINVAL;
		tun->offloads = (unsigned long)arg;
		return 0;
	case TUNSETVNETHDRSZ:
		tun->header_len = *(int *)arg;
		return 0;
	case TUNSETVNETLE:
		tun->little_endian = *(int *)arg;
		return 0;
	case TUNSETQUEUE:
		tun->queue_switch = ifr->ifr_flags;
		return 0;
	case SIOCGIFMTU:
		assert_string_equal(ifr->ifr_name, tun->name[0] ? "tap0" : tun->adopted);
		ifr->ifr_mtu = tun->mtu;
		return tun->mtu < 0 ? tun->mtu : 0;
	case SIOCGIFFLAGS:
		ifr->ifr_flags = tun->if_flags;
		return 0;
	}
	return -ENOTTY;
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	fake_sys_init(&f->fake);
	f->fake.hook = tun_ioctl;
	f->fake.hook_data = &f->tun;
	f->tun = (struct fake_tun){
		.known = ALL,
		.flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
		.if_flags = IFF_UP,
		.mtu = 9000,
		.adopted = "tap7",
		.address = "\2\1\2\3\4\6",
	};
	f->fds = fake_open_fds();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_open_fds(), f->fds);
	fake_sys_destroy(&f->fake);
	test_free(f);
	return 0;
}

static int open_tap(struct fixture *f, struct tap *tap, const char *name, bool multi_queue)
{
	const struct tap_options options = { .name = name, .multi_queue = multi_queue };

	return tap_open(tap, &f->fake.sys, &options);
}

static void test_open(void **state)
{
	struct fixture *f = *state;
	struct tap tap;

	assert_int_equal(open_tap(f, &tap, "tap0", false), 0);
	assert_string_equal(f->tun.name, "tap0");
	assert_int_equal(tap.offloads, ALL);
	assert_int_equal(tap.mtu, 9000);
	assert_int_equal(tap.ifindex, 42);
	/* No offloads before the driver has negotiated them. */
	assert_int_equal(f->tun.offloads, 0);

	assert_int_equal(tap_set_header(&tap, 12), 0);
	assert_int_equal(f->tun.header_len, 12);
	assert_int_equal(f->tun.little_endian, 1);
	assert_int_equal(tap_set_offloads(&tap, TUN_F_CSUM), 0);
	assert_int_equal(f->tun.offloads, TUN_F_CSUM);
	tap_close(&tap);
	tap_close(&tap);
}

static void test_offloads_of_old_kernels(void **state)
{
	static const unsigned known[] = { ALL & ~TUN_F_UFO, TUN_F_CSUM, 0 };
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
		struct tap tap;

		f->tun.known = known[i];
		assert_int_equal(open_tap(f, &tap, "tap0", false), 0);
		assert_int_equal(tap.offloads, known[i]);
		tap_close(&tap);
	}
}

static void test_single_queue_of_multi_queue_tap(void **state)
{
	struct fixture *f = *state;
	struct tap tap;

	f->tun.multi_queue = true;
	assert_int_equal(open_tap(f, &tap, "tap0", false), 0);
	tap_close(&tap);
	assert_int_equal(open_tap(f, &tap, "tap0", true), 0);
	tap_close(&tap);
}

static void test_several_queues(void **state)
{
	struct fixture *f = *state;
	struct tap first, second;

	f->tun.multi_queue = true;
	assert_int_equal(open_tap(f, &first, "tap0", true), 0);
	/* The interface is down: one warning. */
	f->tun.if_flags = 0;
	capture_stderr_begin(&f->capture);
	assert_int_equal(tap_open_queue(&second, &first), 0);
	capture_expect_all(&f->capture, "");
	assert_string_equal(f->tun.name, "tap0");
	assert_int_not_equal(second.fd, first.fd);
	assert_int_equal(second.offloads, first.offloads);
	assert_int_equal(second.mtu, 9000);

	f->tun.attach_error = E2BIG;
	capture_stderr_begin(&f->capture);
	tap_close(&second);
	assert_int_equal(tap_open_queue(&second, &first), -E2BIG);
	capture_expect(&f->capture, "all its queues are taken");
	assert_int_equal(second.fd, -1);
	tap_close(&first);
}

static void test_queues_are_attached_and_detached(void **state)
{
	struct fixture *f = *state;
	struct tap tap;

	f->tun.multi_queue = true;
	assert_int_equal(open_tap(f, &tap, "tap0", true), 0);
	assert_int_equal(tap_attach_queue(&tap, true), 0);
	assert_int_equal(f->tun.queue_switch, 0);
	assert_int_equal(tap_attach_queue(&tap, false), 0);
	assert_int_equal(f->tun.queue_switch, IFF_DETACH_QUEUE);
	f->tun.queue_switch = 0;
	assert_int_equal(tap_attach_queue(&tap, false), 0);
	assert_int_equal(f->tun.queue_switch, 0);
	assert_int_equal(tap_attach_queue(&tap, true), 0);
	assert_int_equal(f->tun.queue_switch, IFF_ATTACH_QUEUE);

	f->fake.fail_at = f->fake.calls + 1;
	assert_int_equal(tap_attach_queue(&tap, false), -EIO);
	assert_int_equal(tap_attach_queue(&tap, false), 0);
	tap_close(&tap);
}

static void test_unknown_mtu(void **state)
{
	struct fixture *f = *state;
	struct tap tap;

	f->tun.mtu = -ENODEV;
	assert_int_equal(open_tap(f, &tap, "tap0", false), 0);
	assert_int_equal(tap.mtu, 0);
	tap_close(&tap);
}

/* Opens, expects `error` and one line of log that has `hint` in it. */
static void expect_refusal(struct fixture *f, const char *name, bool multi_queue, int error,
			   const char *hint)
{
	struct tap tap;
	char text[512];
	int rc;

	capture_stderr_begin(&f->capture);
	rc = open_tap(f, &tap, name, multi_queue);
	capture_stderr_end(&f->capture, text, sizeof(text));
	assert_int_equal(rc, -error);
	assert_int_equal(tap.fd, -1);
	if (!strstr(text, hint))
		fail_msg("no \"%s\" in: %s", hint, text);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_refusals_say_what_to_do(void **state)
{
	struct fixture *f = *state;

	f->tun.attach_error = EBUSY;
	expect_refusal(f, "tap0", false, EBUSY, "tap tap0: TUNSETIFF: Device or resource busy (");
	f->tun.attach_error = EPERM;
	expect_refusal(f, "tap0", false, EPERM, "ip tuntap add");
	expect_refusal(f, "tap0", true, EPERM, "multi_queue user");
	f->tun.attach_error = EINVAL;
	expect_refusal(f, "eth0", false, EINVAL, "not a tap");
	f->tun.attach_error = 0;
	expect_refusal(f, "tap0", true, EINVAL, "not a tap made with multi_queue");

	f->fake.calls = 0;
	f->fake.fail_at = 1;
	f->fake.fail_errno = ENOENT;
	expect_refusal(f, "tap0", false, ENOENT, "/dev/net/tun: No such file or directory (load");
	f->fake.calls = 0;
	f->fake.fail_errno = EACCES;
	expect_refusal(f, "tap0", false, EACCES, "permission");
}

/* A misspelled name used to create an unconnected interface. */
static void test_absent(void **state)
{
	const struct tap_options create = { .name = "tap0", .create = true };
	struct fixture *f = *state;
	struct tap tap;

	f->tun.absent = true;
	expect_refusal(f, "tap0", false, ENODEV,
		       "tap tap0: no such interface (ip tuntap add tap0 mode tap vnet_hdr user");
	expect_refusal(f, "tap0", true, ENODEV, "vnet_hdr multi_queue user");
	expect_refusal(f, "tap0", false, ENODEV, "--net tap=tap0,create");
	assert_string_equal(f->tun.name, "");
	assert_int_equal(tap_open(&tap, &f->fake.sys, &create), 0);
	assert_string_equal(f->tun.name, "tap0");
	tap_close(&tap);
}

static void test_names(void **state)
{
	static const char *const bad[] = { "", "abcdefghijklmnop", "a/b", "a b", "a:b", "a\nb" };
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		expect_refusal(f, bad[i], false, EINVAL, "not an interface name");
	assert_int_equal(f->fake.calls, 0);
}

static void test_warns_when_down(void **state)
{
	struct fixture *f = *state;
	struct tap tap;

	f->tun.if_flags = 0;
	capture_stderr_begin(&f->capture);
	assert_int_equal(open_tap(f, &tap, "tap0", false), 0);
	capture_expect(&f->capture, "ip link set tap0 up");
	tap_close(&tap);
}

static int fd_like_a_tap(void)
{
	int fd = open("/dev/null", O_RDWR);

	assert_true(fd >= 0);
	return fd;
}

static void test_adopt(void **state)
{
	struct fixture *f = *state;
	struct tap tap;
	int fd = fd_like_a_tap();

	assert_int_equal(tap_adopt(&tap, &f->fake.sys, fd), 0);
	assert_int_equal(tap.fd, fd);
	assert_string_equal(tap.name, "tap7");
	assert_int_equal(tap.mtu, 0);
	assert_int_equal(tap.offloads, ALL);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_false(tap.macvtap);
	tap_close(&tap);
}

/* Its index and MTU are known if the interface is in our network namespace. */
static void test_adopt_where_the_interface_is(void **state)
{
	static const struct {
		const char *namespace, *address;
		bool macvtap, ours;
	} cases[] = {
		{ "/proc/self/ns/net", "\2\1\2\3\4\6", false, true },
		{ "/proc/self/ns/uts", "\2\1\2\3\4\5", false, false },
		/* The kernel does not report it: by its address. */
		{ NULL, "\2\1\2\3\4\5", false, true },
		{ NULL, "\2\1\2\3\4\6", false, false },
		{ NULL, "\2\1\2\3\4\5", true, true },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tap tap;

		f->tun.namespace = cases[i].namespace;
		f->tun.address = cases[i].address;
		f->tun.macvtap = cases[i].macvtap;
		assert_int_equal(tap_adopt(&tap, &f->fake.sys, fd_like_a_tap()), 0);
		if (tap.ifindex != (cases[i].ours ? 42 : 0))
			fail_msg("case %u: %u", i, tap.ifindex);
		assert_int_equal(tap.mtu, cases[i].ours ? 9000 : 0);
		tap_close(&tap);
	}
}

static void test_removed(void **state)
{
	struct fixture *f = *state;

	assert_false(tap_is_gone(&f->fake.sys, STDIN_FILENO));
	f->fake.fail_at = f->fake.calls + 1;
	f->fake.fail_errno = EBADFD;
	assert_true(tap_is_gone(&f->fake.sys, STDIN_FILENO));
	f->fake.fail_at = f->fake.calls + 1;
	f->fake.fail_errno = ENOLINK;
	assert_true(tap_is_gone(&f->fake.sys, STDIN_FILENO));
	f->fake.fail_at = f->fake.calls + 1;
	f->fake.fail_errno = ENOTTY;
	assert_false(tap_is_gone(&f->fake.sys, STDIN_FILENO));
}

/* It has an address of its own, and its flags can still be set. */
static void test_adopt_macvtap(void **state)
{
	static const short flags[] = { IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, IFF_TAP | IFF_NO_PI };
	struct fixture *f = *state;

	f->tun.macvtap = true;
	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		struct tap tap, second;

		f->tun.flags = flags[i];
		assert_int_equal(tap_adopt(&tap, &f->fake.sys, fd_like_a_tap()), 0);
		assert_true(f->tun.flags & IFF_VNET_HDR);
		assert_true(tap.macvtap);
		assert_memory_equal(tap.mac, "\2\1\2\3\4\5", 6);
		/* Its queues need no IFF_MULTI_QUEUE. */
		assert_int_equal(tap_adopt_queue(&second, &tap, fd_like_a_tap()), 0);
		tap_close(&second);
		tap_close(&tap);
	}
}

static void test_adopt_queues(void **state)
{
	struct fixture *f = *state;
	struct tap first, second;
	char text[512];

	f->tun.flags |= IFF_MULTI_QUEUE;
	assert_int_equal(tap_adopt(&first, &f->fake.sys, fd_like_a_tap()), 0);
	assert_int_equal(tap_adopt_queue(&second, &first, fd_like_a_tap()), 0);
	tap_close(&second);

	capture_stderr_begin(&f->capture);
	f->tun.adopted = "tap8";
	assert_int_equal(tap_adopt_queue(&second, &first, fd_like_a_tap()), -EINVAL);
	assert_int_equal(second.fd, -1);
	f->tun.adopted = "tap7";
	f->tun.flags &= (short)~IFF_MULTI_QUEUE;
	assert_int_equal(tap_adopt_queue(&second, &first, fd_like_a_tap()), -EINVAL);
	assert_int_equal(tap_adopt_queue(&second, &first, 1000000), -EBADF);
	capture_stderr_end(&f->capture, text, sizeof(text));
	assert_non_null(strstr(text, "is a queue of tap8; all must be of one interface\n"));
	assert_non_null(strstr(text, "opened without IFF_MULTI_QUEUE\n"));
	assert_non_null(strstr(text, "fd 1000000: not inherited"));
	tap_close(&first);
}

static void test_adopt_refuses_other_fds(void **state)
{
	static const short flags[] = {
		IFF_TUN | IFF_NO_PI | IFF_VNET_HDR,
		IFF_TAP | IFF_VNET_HDR,
		IFF_TAP | IFF_NO_PI,
	};
	struct fixture *f = *state;
	struct tap tap;

	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		f->tun.flags = flags[i];
		capture_stderr_begin(&f->capture);
		assert_int_equal(tap_adopt(&tap, &f->fake.sys, fd_like_a_tap()), -EINVAL);
		capture_expect(&f->capture, "IFF_VNET_HDR");
		assert_int_equal(tap.fd, -1);
	}
	f->fake.calls = 0;
	f->fake.fail_at = 1;
	f->fake.fail_errno = ENOTTY;
	capture_stderr_begin(&f->capture);
	assert_int_equal(tap_adopt(&tap, &f->fake.sys, fd_like_a_tap()), -ENOTTY);
	capture_expect(&f->capture, "not an attached tap");
}

/* A number that names one of Kinglet's own descriptors, or none, is left alone. */
static void test_adopt_refuses_what_was_not_inherited(void **state)
{
	struct fixture *f = *state;
	int own = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct tap tap;

	capture_stderr_begin(&f->capture);
	assert_int_equal(tap_adopt(&tap, &f->fake.sys, own), -EBADF);
	assert_int_equal(tap_adopt(&tap, &f->fake.sys, 1000000), -EBADF);
	capture_expect(&f->capture, "not inherited");
	assert_int_equal(tap.fd, -1);
	assert_int_equal(close(own), 0);
}

/* Whichever call fails, no fd stays open, and the error is returned unless it does not matter. */
static void test_every_failure(void **state)
{
	struct fixture *f = *state;
	unsigned failures = 0;

	for (unsigned n = 1; n < 100; n++) {
		struct tap tap;
		char text[512];
		int rc;

		f->fake.calls = 0;
		f->fake.fail_at = n;
		f->fake.fail_errno = EIO;
		capture_stderr_begin(&f->capture);
		rc = open_tap(f, &tap, "tap0", false);
		if (!rc)
			rc = tap_set_header(&tap, 12);
		if (!rc)
			rc = tap_set_offloads(&tap, TUN_F_CSUM);
		tap_close(&tap);
		capture_stderr_end(&f->capture, text, sizeof(text));
		assert_int_equal(fake_open_fds(), f->fds);
		if (f->fake.calls < n)
			break;
		if (rc) {
			failures++;
			assert_int_equal(rc, -EIO);
			assert_non_null(strstr(text, "Input/output error"));
		}
	}
	/* open, TUNSETIFF, TUNSETOFFLOAD three times, TUNSETVNETHDRSZ, TUNSETVNETLE. */
	assert_int_equal(failures, 7);

	f->tun.macvtap = true;
	failures = 0;
	for (unsigned n = 1; n < 100; n++) {
		struct tap tap;
		char text[512];
		int rc;

		f->fake.calls = 0;
		f->fake.fail_at = n;
		capture_stderr_begin(&f->capture);
		rc = tap_adopt(&tap, &f->fake.sys, fd_like_a_tap());
		capture_stderr_end(&f->capture, text, sizeof(text));
		if (!rc)
			tap_close(&tap);
		assert_int_equal(fake_open_fds(), f->fds);
		if (f->fake.calls < n)
			break;
		if (rc) {
			failures++;
			assert_int_equal(rc, -EIO);
		}
	}
	/* TUNGETIFF, TUNGETFEATURES, SIOCGIFHWADDR, TUNSETOFFLOAD twice. */
	assert_int_equal(failures, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open),
		TEST(test_offloads_of_old_kernels),
		TEST(test_several_queues),
		TEST(test_queues_are_attached_and_detached),
		TEST(test_single_queue_of_multi_queue_tap),
		TEST(test_unknown_mtu),
		TEST(test_refusals_say_what_to_do),
		TEST(test_absent),
		TEST(test_names),
		TEST(test_warns_when_down),
		TEST(test_adopt),
		TEST(test_adopt_where_the_interface_is),
		TEST(test_removed),
		TEST(test_adopt_macvtap),
		TEST(test_adopt_queues),
		TEST(test_adopt_refuses_other_fds),
		TEST(test_adopt_refuses_what_was_not_inherited),
		TEST(test_every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
