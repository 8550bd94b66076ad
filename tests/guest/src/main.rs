//! The program in the virtual machine that the system tests drive.
#![no_std]
#![no_main]

extern crate ukernel;
