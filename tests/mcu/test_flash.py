"""Flashing: the order of its steps, and that any step's failure ends with known firmware or says that not.

Against stand-ins for arduino-cli, remoteocd and gpioset: no UNO Q was here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.errors import Later, PlimsollError, Refused, Theirs
from app.mcu import images, toolchain
from app.mcu.flash import NOTHING_WRITTEN, Flash
from tests.mcu.flashing import CORE, NEW, OLD, OTHER, Bench

WRITTEN = ["arduino-cli upload", "gpioset 70=1", "greet"]
BUILT = ["latch", "arduino-cli compile", "release", "gpioset 37=0", *WRITTEN, "resume"]
RESTORED = ["gpioset 37=0", "remoteocd upload", "gpioset 70=1", "greet"]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def flash(bench: Bench) -> Flash:
    return Flash(bench.appliance, bench.unoq(), bench.shelf, bench.said.append)


def kept(bench: Bench) -> tuple[str, ...]:
    """The hashes of the current image and of the one before it."""
    both = bench.shelf.current(), bench.shelf.previous()
    return tuple(image.artefact.firmware_hash if image else "" for image in both)


def test_halts_before_it_compiles_and_lets_go_of_the_link_before_it_writes(bench: Bench) -> None:
    made = flash(bench).build(bench.make)
    assert bench.journal() == BUILT
    assert made.artefact.firmware_hash == NEW == bench.flashed()
    assert kept(bench) == (NEW, "")
    assert bench.heard("only a person re-arms")


def test_calls_the_programs_word_for_word(bench: Bench) -> None:
    flash(bench).build(bench.make)
    flash(bench).image(bench.image(OTHER))
    said = (bench.home / "journal").read_text()
    build, variant = bench.home / "build", "variants/arduino_uno_q_stm32u585xx/flash_sketch.cfg"
    core = bench.home / f"data/packages/arduino/hardware/zephyr/{CORE}"
    board = "arduino:zephyr:unoq:wait_linux_boot=no"
    assert f"arduino-cli compile -b {board} --output-dir {build} {bench.home / 'unoq'}\n" in said
    assert f"arduino-cli upload -b {board} --input-dir {build}\n" in said
    assert f"remoteocd upload -f {core / variant} {bench.home}/image-{OTHER}-{CORE}/firmware.bin\n" in said
    assert "gpioset -c /dev/gpiochip1 -t0 37=0\n" in said


def test_starts_no_service_that_did_not_run(bench: Bench) -> None:
    bench.appliance.running = False
    flash(bench).build(bench.make)
    assert "resume" not in bench.journal()


def test_records_the_core_in_the_artefact(bench: Bench) -> None:
    made = flash(bench).build(bench.make)
    record = json.loads(made.file.with_name(images.ARTEFACT).read_text())
    assert (record["core"], record["fqbn"], record["protocol_version"]) == (CORE, toolchain.FQBN, 1)


def test_goes_back_to_the_image_before_and_forth_again(bench: Bench) -> None:
    flash(bench).image(bench.image(OLD))
    flash(bench).build(bench.make)
    assert kept(bench) == (NEW, OLD)
    flash(bench).back()
    assert (bench.flashed(), kept(bench)) == (OLD, (OLD, NEW))
    flash(bench).back()
    assert (bench.flashed(), kept(bench)) == (NEW, (NEW, OLD))


def test_refuses_to_go_back_to_nothing_and_touches_nothing(bench: Bench) -> None:
    with pytest.raises(Refused, match="no earlier image is kept"):
        flash(bench).back()
    assert bench.journal() == []


def test_keeps_only_the_two_images_one_can_go_between(bench: Bench) -> None:
    for firmware_hash in (OLD, NEW, OTHER):
        flash(bench).image(bench.image(firmware_hash))
    assert kept(bench) == (OTHER, NEW)
    assert len([entry for entry in (bench.home / "shelf").iterdir() if entry.is_dir()]) == 2


def test_flashing_the_same_image_again_keeps_the_one_before(bench: Bench) -> None:
    for image in (bench.image(OLD), bench.image(NEW)):
        flash(bench).image(image)
    flash(bench).image(bench.shelf.current())
    assert kept(bench) == (NEW, OLD)


@pytest.mark.parametrize(
    ("program", "word", "steps"),
    [
        ("arduino-cli", "core", BUILT[:2]),  # asked for once the image is built; the service goes on
        ("arduino-cli", "compile", BUILT[:2]),
        ("gpioset", "boot", [*BUILT[:4], "resume"]),
    ],
)
def test_writes_nothing_when_a_step_before_fails(
    bench: Bench, program: str, word: str, steps: list[str]
) -> None:
    bench.fail(program, word)
    with pytest.raises(Later, match=program):
        flash(bench).build(bench.make)
    assert bench.journal() == steps
    assert bench.flashed() == OLD
    assert bench.shelf.writing() is None
    assert NOTHING_WRITTEN in bench.said


@pytest.mark.parametrize(
    ("program", "word", "steps"),
    [("arduino-cli", "upload", WRITTEN[:1]), ("gpioset", "uart", WRITTEN[:2])],
)
def test_writes_the_image_before_back_when_writing_fails(
    bench: Bench, program: str, word: str, steps: list[str]
) -> None:
    flash(bench).image(bench.image(OLD))
    (bench.home / "journal").unlink()
    bench.fail(program, word)
    with pytest.raises(Later, match=program):
        flash(bench).build(bench.make)
    restored = RESTORED if program != "gpioset" else RESTORED[:3]
    assert bench.journal() == [*BUILT[:4], *steps, *restored, "resume"]
    assert bench.flashed() == OLD
    assert kept(bench) == (OLD, "")
    assert bench.heard("is back") == (program != "gpioset")


@pytest.mark.parametrize(
    ("plant", "problem"),
    [
        (lambda bench: bench.appliance.deaf.add(NEW), "no greeting"),
        (lambda bench: bench.appliance.versions.update({NEW: 2}), "board.protocol: 2; limit 1"),
        (lambda bench: (bench.home / "built").write_text(OTHER), f"board.firmware: {OTHER}; limit {NEW}"),
    ],
    ids=["silent", "another protocol", "another firmware"],
)
def test_writes_the_image_before_back_when_the_handshake_fails(bench: Bench, plant, problem: str) -> None:
    flash(bench).image(bench.image(OLD))
    plant(bench)
    with pytest.raises(PlimsollError, match=problem):
        flash(bench).build(bench.make)
    assert bench.flashed() == OLD
    assert kept(bench) == (OLD, "")
    assert bench.heard(f"the firmware before it is back: {OLD}")
    assert bench.journal()[-1] == "resume"


def test_says_that_the_firmware_is_unknown_when_going_back_fails_too(bench: Bench) -> None:
    flash(bench).image(bench.image(OLD))
    bench.appliance.deaf.update({OLD, NEW})
    with pytest.raises(Later, match="no greeting"):
        flash(bench).build(bench.make)
    assert bench.heard("could not be written back either")
    assert bench.shelf.writing().artefact.firmware_hash == NEW  # who comes next knows what may be there
    assert bench.heard("its output stays off")
    assert bench.heard("arduino-cli burn-bootloader -b arduino:zephyr:unoq -P jlink")
    assert bench.journal()[-1] == "resume"


def test_says_that_nothing_is_kept_when_the_first_firmware_fails(bench: Bench) -> None:
    bench.appliance.deaf.add(NEW)
    with pytest.raises(Later):
        flash(bench).build(bench.make)
    assert bench.heard("no earlier image is kept")
    assert kept(bench) == ("", "")


def test_writes_nothing_when_the_halt_fails(bench: Bench) -> None:
    bench.appliance.failing.add("latch")
    with pytest.raises(Later, match="latch failed"):
        flash(bench).build(bench.make)
    assert bench.journal() == ["latch"]


def test_writes_nothing_when_the_link_is_not_released(bench: Bench) -> None:
    bench.appliance.failing.add("release")
    with pytest.raises(Later, match="release failed"):
        flash(bench).build(bench.make)
    assert bench.journal() == BUILT[:3]


def test_a_service_that_does_not_start_hides_no_other_failure(bench: Bench) -> None:
    bench.appliance.failing.add("resume")
    bench.fail("arduino-cli", "upload")
    with pytest.raises(Later, match="upload went wrong"):
        flash(bench).build(bench.make)
    assert bench.heard("the service did not start")


def test_an_interruption_is_said_and_the_service_started(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_bench: Bench) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(bench.appliance), "greet", interrupt)
    with pytest.raises(KeyboardInterrupt):
        flash(bench).build(bench.make)
    assert bench.heard("may hold half an image")
    assert bench.shelf.writing().artefact.firmware_hash == NEW
    assert bench.journal()[-1] == "resume"


def test_what_is_being_written_is_on_disk_before_its_first_byte_leaves(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    flash(bench).image(bench.image(OLD))
    seen: list[images.Image | None] = []
    monkeypatch.setattr(
        toolchain.UnoQ, "upload_image", lambda self, image: seen.append(bench.shelf.writing())
    )
    with pytest.raises(Refused):  # the board greets as before
        flash(bench).image(bench.image(NEW))
    assert seen[0].artefact.firmware_hash == NEW and seen[0].file.parent.parent == bench.shelf.folder
    assert (kept(bench), bench.shelf.writing()) == ((OLD, ""), None)


def test_writes_nothing_when_the_shelf_takes_no_image(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    flash(bench).image(bench.image(OLD))

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images.durable, "write", full)
    with pytest.raises(Refused, match=r"firmware\.shelf: .*No space left"):
        flash(bench).build(bench.make)
    assert (bench.flashed(), kept(bench)) == (OLD, (OLD, ""))
    assert NOTHING_WRITTEN in bench.said


def test_a_whole_copy_is_not_written_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    flash(bench).image(bench.image(OLD))
    monkeypatch.setattr(
        images.shutil, "copyfile", lambda *_: pytest.fail("a cut now would take the way back")
    )
    flash(bench).image(bench.image(OLD, core=CORE, again=True))
    assert kept(bench) == (OLD, "")


def test_goes_back_to_a_firmware_of_another_protocol_version(bench: Bench) -> None:
    bench.shelf.keep(bench.image(OLD, version=2))
    bench.appliance.foreign.add(OLD)
    bench.appliance.deaf.add(NEW)
    with pytest.raises(Later, match="no greeting"):
        flash(bench).build(bench.make)
    assert bench.flashed() == OLD
    assert bench.heard("as that image does") and bench.heard("is back")
    assert bench.shelf.writing() is None


def test_refuses_an_image_of_another_core(bench: Bench) -> None:
    with pytest.raises(Refused, match=r"firmware\.core: 0\.55\.0; limit 1\.0\.0"):
        flash(bench).image(bench.image(NEW, core="0.55.0"))
    assert bench.flashed() == OLD
    assert NOTHING_WRITTEN in bench.said


def test_refuses_another_machine(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "compatible").write_bytes(b"raspberrypi,4-model-b\0brcm,bcm2711\0")
    with pytest.raises(Refused, match=r"board\.machine: raspberrypi,4-model-b; limit arduino,imola"):
        bench.unoq()
    with pytest.raises(Refused, match="no device tree"):
        toolchain.UnoQ(tmp_path / "absent")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('{"platforms":[{"id":"arduino:avr"},{"id":"arduino:zephyr","installed_version":"1.0.0"}]}', "1.0.0"),
        ('[{"id":"arduino:zephyr","installed":"0.55.0"}]', "0.55.0"),
    ],
)
def test_reads_the_core_from_either_generation_of_the_list(bench: Bench, text: str, version: str) -> None:
    bench.cores(text)
    assert bench.unoq().core() == version


@pytest.mark.parametrize(
    "text", ['{"platforms":[]}', "[]", '{"platforms":null}', '[{"id":"arduino:zephyr"}]']
)
def test_refuses_a_machine_without_the_core(bench: Bench, text: str) -> None:
    bench.cores(text)
    with pytest.raises(Refused, match="arduino-cli core install arduino:zephyr"):
        bench.unoq().core()


@pytest.mark.parametrize("text", ["", "{}", "[1]", "7"])
def test_a_list_of_cores_that_makes_no_sense_is_theirs(bench: Bench, text: str) -> None:
    bench.cores(text)
    with pytest.raises(Theirs, match="made no sense"):
        bench.unoq().core()


def test_takes_the_newest_uploader_that_came_with_the_core(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = bench.home / "programs"
    for version in ("0.9.1", "0.10.0"):
        place = bench.home / "data/packages/arduino/tools/remoteocd" / version
        place.mkdir(parents=True)
        (place / "remoteocd").write_text((programs / "remoteocd").read_text())
        (place / "remoteocd").chmod(0o755)
    (programs / "remoteocd").unlink()
    assert toolchain._remoteocd(bench.home / "data/packages/arduino").parent.name == "0.10.0"
    flash(bench).image(bench.image(OTHER))
    assert bench.flashed() == OTHER


def test_a_missing_program_is_named(bench: Bench) -> None:
    (bench.home / "programs" / "gpioset").unlink()
    with pytest.raises(Later, match="gpioset: is not installed"):
        flash(bench).build(bench.make)
    assert NOTHING_WRITTEN in bench.said


def test_a_program_that_hangs_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "openocd").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "openocd").chmod(0o755)
    with pytest.raises(Later, match="did not finish within 0 s"):
        toolchain.call([tmp_path / "openocd"], 0.05)


def plant_other_bytes(image: images.Image) -> None:
    image.file.write_text("something else")


def plant_no_artefact(image: images.Image) -> None:
    image.file.with_name(images.ARTEFACT).unlink()


def plant_unknown_key(image: images.Image) -> None:
    beside = image.file.with_name(images.ARTEFACT)
    beside.write_text(json.dumps({**json.loads(beside.read_text()), "board": "other"}))


def plant_bad_hash(image: images.Image) -> None:
    beside = image.file.with_name(images.ARTEFACT)
    beside.write_text(json.dumps({**json.loads(beside.read_text()), "firmware_hash": "zz"}))


def plant_huge_image(image: images.Image) -> None:
    image.file.write_bytes(b"\0" * (images.IMAGE_LIMIT + 1))


@pytest.mark.parametrize(
    "plant", [plant_other_bytes, plant_no_artefact, plant_unknown_key, plant_bad_hash, plant_huge_image]
)
def test_refuses_an_image_that_is_not_what_its_artefact_says(bench: Bench, plant) -> None:
    image = bench.image(NEW)
    plant(image)
    with pytest.raises(Refused, match="firmware"):
        images.read(image.file)


def test_writes_nothing_when_the_shelf_cannot_be_read(bench: Bench) -> None:
    flash(bench).image(bench.image(OLD))
    (bench.home / "shelf" / images.ORDER).write_text("{")
    with pytest.raises(Refused, match="order"):
        flash(bench).build(bench.make)
    assert bench.flashed() == OLD
    assert NOTHING_WRITTEN in bench.said


@pytest.mark.parametrize("body", [b"", b"\0" * (images.IMAGE_LIMIT + 1)])
def test_an_image_that_cannot_fit_is_theirs(bench: Bench, body: bytes) -> None:
    (bench.home / "built").write_bytes(body)
    with pytest.raises(Theirs, match="image of"):
        flash(bench).build(bench.make)
    assert bench.flashed() == OLD
